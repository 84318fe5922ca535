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
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)\.js";$', re.MULTILINE)
_STYLE = re.compile(r'^import (\w+) from "\./([\w.]+\.css)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:default )?(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)

# The address is absolute: a script without a file of its own has nothing that a relative one could refer to.
_LOADER = """export default async (component) => {
  const module = await import(new URL(component.data.module, window.location.origin));
  return module.default(component);
};"""


def register(name: str) -> Any:
    """Register the component whose script is `name`.js beside this file; return Streamlit's mounting command."""
    return st.components.v2.component(f"oga_{name}", js=_LOADER)


def module_url(name: str) -> str:
    """Return the address of the script `name`.js with all that it imports, for this session."""
    return media_url(bundle(name).encode(), "text/javascript", f"module-{name}")


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
def bundle(entry: str) -> str:
    """Join `entry`.js and the modules and style sheets it imports into one ES module.

    Understood are `import { a, b } from "./c.js";`, `import style from "./c.css";` and exported declarations: what our
    scripts use. Every module becomes a function of its own, so names do not collide.
    """
    parts: list[str] = []
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        source = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
        for match in _IMPORT.finditer(source):
            add(match[2])
        exports = ", ".join(_EXPORT.findall(source))
        source = _IMPORT.sub(lambda match: f"const {{{match[1].replace(' as ', ': ')}}} = m_{match[2]};", source)
        source = _STYLE.sub(lambda match: f"const {match[1]} = {_string(FOLDER / match[2])};", source)
        source = re.sub(r"^export (default )?", "", source, flags=re.MULTILINE)
        parts.append(f"const m_{name} = (() => {{\n{source}\nreturn {{ {exports} }};\n}})();")

    add(entry)
    return "\n".join(parts) + f"\nexport default m_{entry}.mount;\n"


def _string(path: Path) -> str:
    return json.dumps(path.read_text(encoding="utf-8"))
