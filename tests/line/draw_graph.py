"""After a change of the asset graph: write the keys it is known by, and the picture of its groups
that the README shows.

python tests/line/draw_graph.py
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from html import escape
from pathlib import Path

import dagster as dg

ROOT = Path(__file__).resolve().parents[2]
KEYS, PICTURE = ROOT / "tests/line/asset_keys.json", ROOT / ".github/graph.svg"
BOX, HIGH, ACROSS, DOWN, EDGE = 104, 58, 132, 92, 56
STYLE = (
    "text{font:11px system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;text-anchor:middle;"
    "fill:#52606d}.name{font-size:14px;font-weight:600;fill:#1f2933}rect{fill:#e6f6f8;"
    "stroke:#0b7285}path{fill:none;stroke:#7b8794;stroke-width:1.3}.tip{fill:#7b8794;stroke:none}"
    "@media(prefers-color-scheme:dark){text{fill:#cbd2d9}.name{fill:#f5f7fa}"
    "rect{fill:#12343b;stroke:#38bec9}}"
)


def keys_of(graph: dg.Definitions) -> str:
    """Every asset's key, as asset_keys.json has them."""
    assets = graph.resolve_asset_graph().get_all_asset_keys()
    return json.dumps(sorted("/".join(key.path) for key in assets), indent=1) + "\n"


def picture_of(graph: dg.Definitions) -> str:
    """The groups of the graph and which of them read which, as SVG for light and dark pages."""
    assets = graph.resolve_asset_graph()
    members, parents = defaultdict(list), defaultdict(set)
    for key in sorted(assets.get_all_asset_keys()):
        node = assets.get(key)
        members[node.group_name].append(node)
        parents[node.group_name] |= {assets.get(one).group_name for one in node.parent_keys}
    for group in members:
        parents[group].discard(group)
    place = placed(parents)
    gates = {
        assets.get(check.asset_key).group_name
        for check in assets.asset_check_keys
        if assets.get(check).blocking
    }
    drawn = [arrow(place[a], place[b]) for b in sorted(parents) for a in sorted(parents[b])]
    for group, nodes in sorted(members.items()):
        x, y = (place[group][0] * ACROSS, place[group][1] * DOWN + EDGE)
        count = f"{len(nodes)} asset{'' if len(nodes) == 1 else 's'}"
        kinds = Counter(kind for node in nodes for kind in sorted(node.kinds)).most_common(2)
        lines = [("name", group), ("", count + (", gate" if group in gates else ""))]
        lines.append(("", " · ".join(kind for kind, _ in kinds)))
        drawn.append(f'<rect x="{x}" y="{y}" width="{BOX}" height="{HIGH}" rx="7"/>')
        drawn += [
            f'<text class="{style}" x="{x + BOX // 2}" y="{y + 20 + 15 * k}">{escape(text)}</text>'
            for k, (style, text) in enumerate(lines)
        ]
    columns, rows = (max(at[k] for at in place.values()) for k in (0, 1))
    size = f"-4 0 {columns * ACROSS + BOX + 8} {rows * DOWN + HIGH + 2 * EDGE}"
    about = f"<title>The groups of the asset graph: {', '.join(sorted(members))}</title>"
    said = "\n".join([f"<style>{STYLE}</style>", about, *drawn])
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img">\n{said}\n</svg>\n'


def placed(parents: dict[str, set[str]]) -> dict[str, tuple[int, int]]:
    """Column and row of every group: a column after all it reads, and what reads nothing just
    before its first reader; the longest chain lies in the first row."""

    def depth(group: str) -> int:
        return max((depth(one) + 1 for one in parents[group]), default=0)

    column = {group: depth(group) for group in parents}
    for group in sorted(parents):
        readers = [column[one] for one in parents if group in parents[one]]
        if not parents[group] and readers:
            column[group] = min(readers) - 1
    place, taken = {}, defaultdict(int)
    for group in sorted(parents, key=lambda one: (not parents[one], len(parents[one]), one)):
        place[group] = (column[group], taken[column[group]])
        taken[column[group]] += 1
    return place


def arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """From a group to one that reads it: straight to the next column, in an arc around what lies
    between, above the first row and below the others."""
    (a, top), (b, row) = start, end
    x, y = a * ACROSS + BOX, top * DOWN + EDGE + HIGH // 2
    to_x, to_y = b * ACROSS, row * DOWN + EDGE + HIGH // 2
    if b - a == 1:
        way = f"M{x} {y}C{x + 22} {y} {to_x - 28} {to_y} {to_x - 6} {to_y}"
        tip = f"M{to_x} {to_y}l-8 -4v8z"
    else:
        side = -1 if row == 0 else 1
        x, to_x = x - BOX // 2, to_x + BOX // 2
        y, to_y = y + side * HIGH // 2, to_y + side * (HIGH // 2 + 6)
        bend = (min(y, to_y) if side < 0 else max(y, to_y)) + side * (14 + 8 * (b - a))
        way = f"M{x} {y}C{x} {bend} {to_x} {bend} {to_x} {to_y}"
        tip = f"M{to_x} {to_y - side * 6}l-4 {side * 8}h8z"
    return f'<path d="{way}"/><path class="tip" d="{tip}"/>'


if __name__ == "__main__":
    from orchestration.definitions import defs

    made = defs()
    KEYS.write_text(keys_of(made), encoding="utf-8")
    PICTURE.write_text(picture_of(made), encoding="utf-8")
