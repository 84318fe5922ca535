"""What stands on a page that Streamlit's AppTest drew."""

from streamlit.testing.v1 import AppTest


def words(test: AppTest) -> str:
    return "\n".join(block.proto.body for block in test.get("html") if "<style>" not in block.proto.body)


def problems(test: AppTest) -> list[str]:
    return [line for line in words(test).splitlines() if "oga-problem" in line]
