"""Every sentence of the README's section on safety, in its order, with the tests that check it.

A sentence that is not in the list is red, and so is a test that is not there any more.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKED_BY: dict[str, tuple[str, ...]] = {
    "An uploaded file never runs code: no pickle, no `torch.export.load`, no TorchScript, no `trust_remote_code`.": (
        "models/attacks/test_load_attacks.py::test_attack_is_refused_in_words",
        "models/attacks/test_load_attacks.py::test_the_payloads_are_live",
        "models/attacks/test_pt2_attacks.py::test_payload_is_never_run",
        "readers/attacks/test_data_attacks.py::test_a_hostile_file_is_refused_with_a_sentence",
        "attacks/test_attack_set.py::test_the_command_counts_a_part_of_the_set",
    ),
    "`.pt2` files are read by a reader of our own that knows a list of tensor operations and nothing else.": (
        "models/attacks/test_pt2_attacks.py::test_malformed_file_is_refused_in_words",
        "models/pt2/test_pt2_operators.py::test_a_refusal_names_the_users_line",
    ),
    "Data and models are read in a worker process with limits on memory and time,": (
        "worker/test_worker.py::test_memory_limit_holds",
        "worker/test_worker.py::test_time_limit_holds",
        "worker/test_worker.py::test_silence_is_limited",
    ),
    "on Linux without access to the network or to files other than those you named:": (
        "worker/test_jail.py::test_no_way_out_works",
    ),
    "for scoring and retraining,": (
        "worker/test_who_reads.py::test_the_process_that_asks_opens_neither_data_nor_model",
    ),
    "for the columns and samples that the dashboard shows, and for exports.": (
        "previews/test_reader.py::test_a_reader_sees_only_the_files_of_its_run",
        "previews/test_reader.py::test_columns_and_first_rows_are_read_in_a_worker",
        "exports/test_export_job.py::test_the_process_that_reads_is_jailed_and_not_this_one",
        "exports/test_export_job.py::test_the_process_that_asks_imports_no_reader",
        "exports/test_export_job.py::test_data_that_grow_end_the_worker_and_cost_this_process_nothing",
        "exports/test_export_job.py::test_an_image_that_takes_too_much_costs_the_report_one_example",
    ),
    "An export is written into a new folder beside the place you gave, is looked at,": (
        "exports/test_export_job.py::test_a_worker_that_was_taken_over_leaves_nothing",
        "exports/test_killed_exports.py::test_a_killed_export_leaves_nothing_or_all",
    ),
    "and replaces neither data nor run;": (
        "exports/test_export_targets.py::test_the_files_of_the_run_are_never_written_over",
        "exports/test_export_targets.py::test_an_ending_that_is_added_does_not_lead_to_the_data",
        "exports/test_export_targets.py::test_a_link_to_the_data_is_the_data",
        "exports/test_export_targets.py::test_nothing_is_written_into_the_data",
    ),
    "no name in it leads out.": (
        "exports/test_members.py::test_an_unsafe_name_is_refused_and_nothing_is_left",
        "exports/test_class_names.py::test_a_class_that_is_no_folder_is_refused",
    ),
    "Where the system lacks a part of this jail, the command line, the Run page and the run say so,": (
        "worker/test_lacking.py::test_a_run_without_landlock_says_so_everywhere",
        "worker/test_unjailed_dashboard.py::test_what_was_allowed_is_read_and_the_hole_still_named",
    ),
    "and with `--accounts` nothing is read until you allow it.": (
        "worker/test_lacking.py::test_data_are_read_for_accounts_only_in_a_whole_jail",
        "worker/test_unjailed_dashboard.py::test_nothing_is_read_for_accounts_where_the_jail_has_holes",
    ),
    "Run folders and the truth of `oga evaluate` are read where you start it, and nothing in them runs.": (
        "runs/test_damaged_runs.py::test_a_damaged_run_says_what_is_wrong",
        "runs/test_damaged_side_files.py::test_damage_is_named_with_what_to_do",
        "evaluation/test_evaluate.py::test_a_truth_that_would_run_is_text",
    ),
    "The one thing that runs code is `--model-factory`: yours, in that worker, and never from the dashboard.": (
        "models/test_factory.py::test_weights_of_a_network_of_ones_own_are_scored",
        "models/test_factory.py::test_naming_a_function_runs_nothing",
        "models/test_factory.py::test_the_dashboard_does_not_run_it",
    ),
    "Archives of data are streamed, never extracted;": (
        "readers/test_archives_stay_packed.py::test_an_archive_of_data_is_never_extracted",
    ),
    "a zipped model is unpacked in the worker's own folder.": (
        "readers/test_archives_stay_packed.py"
        "::test_a_zipped_model_is_unpacked_among_temporary_files_and_gone_when_loaded",
        "worker/test_worker.py::test_no_scratch_folder_is_left_behind",
    ),
    "The dashboard listens on 127.0.0.1 only,": (
        "app/test_shared_dashboard.py::test_it_listens_on_this_machine_only_and_sends_no_statistics",
    ),
    "unless you give `--address`, which needs `--accounts`.": (
        "app/server/test_accounts.py::test_the_network_needs_accounts",
    ),
    "It answers to its own names and its own pages only,": (
        "app/test_shared_dashboard.py::test_another_hosts_name_another_origin_and_another_port_are_refused",
        "app/test_shared_dashboard.py::test_no_site_may_frame_a_page",
    ),
    "and sends no usage statistics.": (
        "app/test_shared_dashboard.py::test_it_listens_on_this_machine_only_and_sends_no_statistics",
    ),
    "With `--accounts` nothing is served and nobody uploads before signing in;": (
        "app/test_shared_dashboard.py::test_nothing_is_served_before_signing_in",
        "app/test_shared_dashboard.py::test_nobody_uploads_before_signing_in",
    ),
    "decisions bear the account's name and no other;": (
        "app/test_shared_dashboard.py::test_decisions_bear_the_name_of_the_account",
        "app/test_shared_dashboard.py::test_bulk_decisions_bear_the_name_of_the_account",
        "app/test_shared_dashboard.py::test_a_settlement_bears_the_name_of_the_account_and_only_its_owner_undoes_it",
    ),
    "wrong passwords wait longer each time and are logged.": (
        "app/test_shared_dashboard.py::test_failures_are_logged_and_slowed_down",
        "app/server/test_attempts.py::test_the_first_failures_cost_nothing_and_then_the_wait_doubles",
    ),
    "Uploads lie under names of the server's choice,": (
        "app/server/test_settings.py::test_uploads_never_name_a_path",
        "app/test_shared_dashboard.py::test_nobody_uploads_for_somebody_else_or_under_a_name_of_theirs",
    ),
    "have a cap for each session and for all,": (
        "app/server/test_uploads.py::test_a_session_and_all_together_have_a_cap",
    ),
    "go when the session has ended,": (
        "app/server/test_uploads.py::test_files_of_an_ended_session_go_and_those_of_a_living_one_stay",
    ),
    "and move into the run that uses them.": (
        "app/server/test_uploads.py::test_an_uploaded_file_lies_in_the_run_that_uses_it",
    ),
}


def test_the_section_says_what_is_checked_and_nothing_else() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Safety\n")[2].partition("\n## ")[0]
    assert " ".join(section.split()) == " ".join(CHECKED_BY)


@pytest.mark.parametrize("name", sorted({name for names in CHECKED_BY.values() for name in names}))
def test_the_tests_are_there(name: str) -> None:
    file, _, function = name.partition("::")
    source = (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {function}\(", source, re.MULTILINE)
