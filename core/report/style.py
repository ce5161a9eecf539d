"""How a report looks: light and dark on a screen, A4 on paper, one column on a phone. Fonts are those of the reader."""

LIGHT = """
  --ground: #ffffff; --panel: #f4f6f7; --ink: #1c2430; --soft: #55606d; --rule: #c9d0d6; --faint: #e6eaed;
  --accent: #0f6674; --alarm: #8a3b00; --alarm-ground: #fdf1e7;
  --s0: #c4560d; --s1: #0f6674; --s2: #7a5cc7; --s3: #632b1a; --s4: #9a7400;
"""
DARK = """
  --ground: #0e1215; --panel: #171d22; --ink: #dde2e7; --soft: #9aa5b0; --rule: #46515b; --faint: #262e35;
  --accent: #6cc4d2; --alarm: #ffb27a; --alarm-ground: #2b1d12;
  --s0: #f0914d; --s1: #4fb8c9; --s2: #a594f0; --s3: #d9826c; --s4: #d8bc55;
"""

RULES = """
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 54rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 Charter, "Bitstream Charter", "Iowan Old Style", "Source Serif 4", Georgia, Cambria, serif;
}
h1, h2, table, figcaption, dt, nav, .kicker, .made, .legend, .note, .warning, .standing, svg text, .colours {
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
}
h1 { font-size: 2rem; line-height: 1.2; margin: 0.1rem 0 0.3rem; overflow-wrap: anywhere; letter-spacing: -0.01em; }
h2 { font-size: 1.35rem; margin: 3rem 0 0.8rem; padding-top: 0.7rem; border-top: 2px solid var(--ink); }
h2 .number { color: var(--accent); margin-right: 0.35em; }
p { margin: 0 0 0.8rem; max-width: 44rem; }
.lead { max-width: none; text-wrap: balance; }
a { color: var(--accent); }
code, pre { font-family: ui-monospace, "Cascadia Mono", "Source Code Pro", Menlo, Consolas, monospace; }
code { font-size: 0.85em; overflow-wrap: anywhere; }
.hash { font-size: 0.75em; color: var(--soft); }
pre {
  background: var(--panel); border: 1px solid var(--faint); border-radius: 4px; padding: 0.8rem 1rem;
  font-size: 0.82rem; line-height: 1.6; white-space: pre-wrap; overflow-wrap: anywhere;
}
pre code { font-size: 1em; }

.kicker { color: var(--accent); font-size: 0.8rem; font-weight: 600; letter-spacing: 0.02em; margin: 0; }
.made { color: var(--soft); font-size: 0.85rem; }
.lead { font-size: 1.2rem; line-height: 1.45; border-left: 4px solid var(--accent); padding: 0.1rem 0 0.1rem 1rem; }
header .lead { margin: 1.6rem 0 1.4rem; }
.standing { display: flex; flex-wrap: wrap; gap: 0.4rem 2.2rem; margin: 0.2rem 0 1.4rem; }
.standing dt { font-size: 0.85rem; color: var(--soft); font-weight: 400; margin: 0; }
.standing dd { font-size: 1.7rem; font-weight: 600; margin: 0; line-height: 1.2; font-variant-numeric: tabular-nums; }
.standing div:first-child dd { color: var(--soft); font-weight: 400; }
nav ol { columns: 2 13rem; margin: 0; padding-left: 1.4rem; font-size: 0.92rem; line-height: 1.7; }

.scroll { overflow-x: auto; margin: 1.4rem 0; }
table { border-collapse: collapse; font-size: 0.88rem; line-height: 1.35; width: 100%; }
table.narrow { width: auto; min-width: 55%; }
table.facts { margin: 1.4rem 0; }
caption { caption-side: top; text-align: left; font-size: 0.85rem; font-weight: 600; padding-bottom: 0.45rem; }
caption span { display: block; position: sticky; left: 0; max-width: calc(100vw - 2rem); }
thead { border-bottom: 1px solid var(--ink); }
table { border-top: 1.5px solid var(--ink); border-bottom: 1.5px solid var(--ink); }
th, td { text-align: left; vertical-align: baseline; padding: 0.28rem 0.55rem; font-weight: 400; }
th:first-child { padding-left: 0.1rem; }
thead th { font-size: 0.8rem; font-weight: 600; vertical-align: bottom; }
thead .groups th { text-align: center; border-bottom: 1px solid var(--rule); }
tbody tr + tr { border-top: 1px solid var(--faint); }
.n { text-align: right; font-variant-numeric: tabular-nums lining-nums; white-space: nowrap; }
thead .n { white-space: normal; }
.floor-cell { color: var(--soft); font-style: italic; }
.best { font-weight: 700; }
.facts th { width: 34%; color: var(--soft); }
.epochs { width: auto; min-width: 70%; }

figure { margin: 1.4rem 0; }
figcaption { font-size: 0.83rem; line-height: 1.4; color: var(--soft); margin-top: 0.4rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr)); gap: 0 1.6rem; }
.pair > figure { margin: 1rem 0; }
.single { max-width: 31rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 11px; fill: var(--soft); }
svg text.small { font-size: 8.5px; }
.grid { stroke: var(--faint); stroke-width: 1; }
.divider { stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 1.5 3; }
.floor { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; fill: none; }
.line { fill: none; stroke: var(--soft); stroke-width: 2; stroke-linejoin: round; }
.line.floor { stroke-width: 1.5; }
.dashed { stroke-dasharray: 5 3; stroke-width: 1.6; }
.line.s0 { stroke: var(--s0); } .line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); }
.line.s3 { stroke: var(--s3); } .line.s4 { stroke: var(--s4); }
.dot, .bar { stroke: none; }
.s0.dot, .s0.bar { fill: var(--s0); } .s1.dot, .s1.bar { fill: var(--s1); } .s2.dot, .s2.bar { fill: var(--s2); }
.s3.dot, .s3.bar { fill: var(--s3); } .s4.dot, .s4.bar { fill: var(--s4); }
.legend {
  list-style: none; display: flex; flex-wrap: wrap; gap: 0.15rem 1rem; margin: 0.4rem 0; padding: 0; font-size: 0.83rem;
}
.swatch { display: inline-block; width: 0.8em; height: 0.8em; vertical-align: -0.05em; }
.swatch.wide { width: 1.6em; vertical-align: -0.05em; }
.colours { font-size: 0.83rem; background: var(--panel); border-radius: 4px; padding: 0.5rem 0.8rem; }
.colours .legend { margin: 0.2rem 0 0; }

.photo { margin: 1.6rem 0; }
.photo > figcaption { color: var(--ink); font-weight: 600; margin: 0 0 0.4rem; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.6rem; }
.pictures figure { margin: 0; max-width: 13rem; }
.pictures img {
  display: block; max-width: 100%; max-height: 13rem; width: auto; height: auto; border: 1px solid var(--rule);
}
.pictures figcaption { font-size: 0.78rem; margin-top: 0.25rem; }

.note { color: var(--soft); font-size: 0.85rem; overflow-wrap: anywhere; white-space: pre-line; }
.warning {
  color: var(--alarm); background: var(--alarm-ground); border-left: 4px solid var(--alarm); padding: 0.5rem 0.8rem;
  font-size: 0.9rem;
}
main dl dt { font-weight: 600; font-size: 0.95rem; margin-top: 1.1rem; }
main dl dd {
  margin: 0; display: grid; grid-template-columns: minmax(15rem, 2fr) 3fr; gap: 0 1.4rem; align-items: center;
}
main dl dd p { margin: 0; font-size: 0.93rem; }
math { font-size: 1.05rem; margin: 0.35rem 0; text-align: left; }
math[display="block"] { display: block math; text-align: left; }
dd math { width: fit-content; }

@media (max-width: 34rem) {
  body { padding: 1.4rem 1rem 3rem; }
  h1 { font-size: 1.6rem; }
  .lead { font-size: 1.08rem; }
  main dl dd { display: block; }
  .pictures { grid-template-columns: repeat(2, 1fr); }
  table.narrow, .epochs { min-width: 100%; }
  th, td { padding: 0.28rem 0.4rem; }
  .scroll tbody th { position: sticky; left: 0; background: var(--ground); }
}
@page {
  size: A4; margin: 18mm 17mm 20mm;
  @bottom-center { content: counter(page); font: 9pt sans-serif; color: #55606d; }
}
@media print {
  html { color-scheme: light; font-size: 10pt; }
  body { max-width: none; padding: 0; line-height: 1.45; background: none; }
  h2 { margin-top: 9mm; }
  h2, caption, .photo > figcaption { break-after: avoid; }
  p { max-width: none; orphans: 3; widows: 3; }
  tr, .photo, figure, .warning, dt, dd, .colours, pre { break-inside: avoid; }
  dt { break-after: avoid; }
  thead { display: table-header-group; }
  table { break-inside: avoid; }
  table.long { break-inside: auto; }
  .scroll { overflow: visible; }
  th, td { padding: 0.8mm 1.6mm; }
  a { color: inherit; text-decoration: none; }
  .pictures { grid-template-columns: repeat(auto-fit, minmax(24mm, 1fr)); gap: 2mm; }
  .pair { grid-template-columns: 1fr 1fr; gap: 0 6mm; }
  .single { max-width: 112mm; }
  svg, img { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

CSS = f":root {{{LIGHT}}}\n@media screen and (prefers-color-scheme: dark) {{ :root {{{DARK}}} }}\n{RULES}"
