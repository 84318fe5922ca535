"""Scripts and data of our own components, served as files: a rerun sends their addresses and not their bytes.

Streamlit's components v2 send the script, the style sheet and all data again with every rerun. Ours register a script
that imports the real one from the media route; large data goes the same way, under an address that is its hash.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime import Runtime

FOLDER = Path(__file__).parent
_IMPORT = re.compile(r'^import \{([^}]*)\} from "((?:\.\.?/)+[\w/]+\.js)";$', re.MULTILINE)
_STYLE = re.compile(r'^import (\w+) from "((?:\.\.?/)+[\w/]+\.css)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:default )?(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)

# The address is absolute: a script without a file of its own has nothing that a relative one could refer to.
_LOADER = """export default async (component) => {
  const module = await import(new URL(component.data.module, window.location.origin));
  return module.default(component);
};"""


def register(script: str) -> Any:
    """Return Streamlit's mounting command for the component whose `script` is, say, "map/gradient_map.js"."""
    return st.components.v2.component(f"oga_{Path(script).stem}", js=_LOADER)


def module_url(script: str) -> str:
    """Return the address of a component's script with all that it imports, for this session."""
    return media_url(bundle(script).encode(), "text/javascript", f"module-{Path(script).stem}")


def media_url(content: bytes, mimetype: str, place: str) -> str:
    """Keep `content` on the media route while this session shows it at `place`; return its address.

    Equal content has an equal address, so the browser fetches it once.
    """
    url = Runtime.instance().media_file_mgr.add(content, mimetype, f"oga-{place}")
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{url}" if base else url


def json_bytes(content: Any) -> bytes:
    """Return JSON in UTF-8."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


@cache
def bundle(script: str) -> str:
    """Return `script`, a path below this folder, and the modules and style sheets it imports as one ES module.

    Understood are `import { a, b } from "./c.js";`, `import style from "../c.css";` and exported declarations: what our
    scripts use. Every module becomes a function of its own, so names do not collide.
    """
    entry = (FOLDER / script).resolve()
    modules: dict[Path, str] = {}
    _add(entry, modules)
    return "\n".join(modules.values()) + f"\nexport default {_variable(entry)}.mount;\n"


def _add(path: Path, modules: dict[Path, str]) -> None:
    """Add the module at `path` to `modules`, after those it imports."""
    if path in modules:
        return
    source = path.read_text(encoding="utf-8")
    for match in _IMPORT.finditer(source):
        _add(_target(path, match[2]), modules)
    exports = ", ".join(_EXPORT.findall(source))
    source = _IMPORT.sub(
        lambda match: f"const {{{match[1].replace(' as ', ': ')}}} = {_variable(_target(path, match[2]))};", source
    )
    source = _STYLE.sub(lambda match: f"const {match[1]} = {_text(_target(path, match[2]))};", source)
    source = re.sub(r"^export (default )?", "", source, flags=re.MULTILINE)
    modules[path] = f"const {_variable(path)} = (() => {{\n{source}\nreturn {{ {exports} }};\n}})();"


def _target(importer: Path, address: str) -> Path:
    """Return the file that an import in `importer` refers to; it lies below this folder."""
    path = (importer.parent / address).resolve()
    path.relative_to(FOLDER.resolve())
    return path


def _variable(path: Path) -> str:
    """Return the name of a module in the bundle: "m_map_points" for map/points.js."""
    return "m_" + "_".join(path.relative_to(FOLDER.resolve()).with_suffix("").parts)


def _text(path: Path) -> str:
    return json.dumps(path.read_text(encoding="utf-8"))
