"""Colours and style that Streamlit's theme options do not reach."""

from __future__ import annotations

import streamlit as st

ACCENT = "#c2410c"
GREY = "#9a958c"
DECISION_COLOURS = {
    "keep": "#009e73",
    "relabel": "#0072b2",
    "remove": "#b3478f",
    "unsure": "#e69f00",
    "edit": "#0072b2",
    "swap": "#7f6fc1",
}
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c2e", "#7f6fc1", "#6b6b6b", "#a65628",
)  # fmt: skip

_STYLE = """
<style>
.stApp, .stApp button, .stApp input { font-variant-numeric: tabular-nums; }
.stMainBlockContainer { padding: 4.4rem 2rem 4rem; max-width: 1680px; }
[data-testid="stDecoration"], [data-testid="stStatusWidget"] { display: none; }
.oga { overflow-wrap: anywhere; white-space: pre-wrap; margin: 0; line-height: 1.45; }
h1.oga { font-size: 1.5rem; font-weight: 600; letter-spacing: -.012em; padding: 0; line-height: 1.2; }
h2.oga { font-size: 1.08rem; font-weight: 600; padding: .5rem 0 0; line-height: 1.3; }
a.oga { color: inherit; }
.oga-quiet { opacity: .74; font-size: .92rem; }
.oga-figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .8rem 1.2rem; }
.oga-figure { font-size: 1.75rem; font-weight: 600; letter-spacing: -.015em; line-height: 1.15; }
.oga-figure.flagged { color: #c2410c; }
.stAppHeader { padding-left: calc(var(--oga-brand, 5ch) + 3.2rem); }
.st-key-frame { position: absolute; width: 0; height: 0; overflow: hidden; }
.oga-brand { position: fixed; top: 0; left: 1.4rem; height: 3.6rem; line-height: 3.6rem; z-index: 999991; margin: 0;
  max-width: calc(var(--oga-brand) + 1ch); white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  font-weight: 700; letter-spacing: .04em; }
.oga-brand b { font-weight: 400; letter-spacing: 0; padding-left: .5rem; }
.oga-gone { position: fixed; inset: auto 0 0 0; z-index: 999992; padding: .9rem 1.4rem; background: #c2410c;
  color: #fff; }
.oga-problem, .oga-note { border-left: 3px solid #9a958c; padding: .7rem 1rem; border-radius: 0 6px 6px 0; }
.oga-note { background: rgba(154, 149, 140, .13); }
.oga-problem { border-color: #c2410c; background: rgba(194, 65, 12, .09); }
.oga-empty { border: 1px dashed rgba(140, 134, 124, .6); border-radius: 8px; padding: 2.4rem 1.4rem; }
.oga-empty { text-align: center; }
.oga-tokens { line-height: 1.75; font-size: .92rem; max-height: 28rem; overflow-y: auto; }
.oga-tokens span { border-radius: 3px; margin-right: 1px; }
.oga-tokens .trained { background: rgba(0, 114, 178, .2); }
.oga-tokens .context { opacity: .74; background: rgba(154, 149, 140, .13); }
.oga-tokens .special { outline: 1px solid rgba(140, 134, 124, .8); outline-offset: -1px; }
.oga-tokens .cut { text-decoration: line-through; opacity: .74; }
.oga-legend span { padding: 0 .35rem; margin-right: .4rem; }
.stButtonGroup [data-selected="true"] p { color: #8f300c; }
.stMultiSelect [data-tag] { background: rgba(140, 134, 124, .26); color: inherit; }
ul.oga-pictures, ul.oga-texts, ol.oga-classes { list-style: none; padding: 0; margin: 0; white-space: normal; }
.oga-pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(5.5rem, 1fr)); gap: .5rem; }
.oga-pictures img { width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 4px; display: block; }
.oga-pictures img.pixelated { image-rendering: pixelated; }
.oga-pictures b, .oga-texts b { font-weight: 600; font-size: .86rem; display: block; }
.oga-texts li { display: flex; gap: 1rem; padding: .35rem 0; border-top: 1px solid rgba(140, 134, 124, .28); }
.oga-texts b { flex: 0 0 7rem; }
.oga-classes { display: flex; flex-wrap: wrap; gap: .3rem; font-size: .88rem; }
.oga-classes li { border: 1px solid rgba(140, 134, 124, .4); border-radius: 4px; padding: .05rem .45rem; }
.oga-classes i { font-style: normal; opacity: .74; }
.oga-classes b { font-weight: 600; margin-left: .15rem; }
[class*="st-key-hint-mark"] [data-testid="stMarkdownContainer"] { position: absolute;
  width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
[class*="st-key-hint-"] [data-testid="stPopoverButton"] > div > div[aria-hidden] { display: none; }
[class*="st-key-hint-"] [data-testid="stPopoverButton"] { padding: .2rem .45rem; min-height: 1.7rem; opacity: .74; }
.oga-push { height: 4px; background: rgba(140, 134, 124, .22); border-radius: 2px; margin-bottom: .5rem; }
.oga-push i { display: block; height: 100%; border-radius: 2px; background: #0072b2; }
.oga-push.against i { background: #c2410c; }
@media (prefers-color-scheme: dark) {
  .oga-push i { background: #56b4e9; }
  .oga-push.against i { background: #ff8a57; }
  .oga-figure.flagged { color: #ff8a57; }
  .oga-tokens .trained { background: rgba(86, 180, 233, .3); }
  .stButtonGroup [data-selected="true"] p { color: #ffab85; }
}
[data-testid="stFileUploaderDropzone"] { min-height: 6rem; align-items: center; border: 1.5px dashed #8c867c; }
@media (max-width: 768px) {
  .stAppHeader { padding-left: 0; }
  .oga-brand { left: 3.6rem; right: 1rem; max-width: none; pointer-events: none; }
}
@media (max-width: 640px) { .stMainBlockContainer { padding: 4rem .9rem 3rem; } .oga-figure { font-size: 1.4rem; } }
</style>
"""


def apply() -> None:
    """Add our style to the page."""
    st.html(_STYLE)
