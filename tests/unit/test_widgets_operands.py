"""The Python side of OperandWidget: which features, what travels, traits, and pictures."""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from graph_samples import random_graph
from operand_samples import made_up, operands_of

import ct_widgets as ct
from ct_widgets.arithmetic.weights import embedding_weights, output_weights
from ct_widgets.columns import decode
from ct_widgets.errors import FeatureError, WidgetError
from ct_widgets.graph import NodeId
from ct_widgets.widgets.operand_payload import pack_plot
from ct_widgets.widgets.operand_rows import MOST_LINKS, MOST_ROWS, template_of
from ct_widgets.widgets.panels import panel_kinds
from ct_widgets.widgets.pictures.operands import png

GRAPH = random_graph()
HERE = [node for node in GRAPH.node_ids if node.kind == "feature" and node.position == 3]
PLOTS = {(node.layer, node.index): plot for node, plot in zip(HERE, made_up(len(HERE)).values(), strict=True)}
OPERANDS = operands_of(PLOTS)
HOSTILE = '<img src=x onerror="window.hacked=1">\x00'


def unpacked(pairs: npt.NDArray[np.uint8], cells: int) -> npt.NDArray[np.int64]:
    """The bytes of a plot, by the letter of the format: step on, then put."""
    found, place = np.zeros(cells, np.int64), 0
    for gap, value in pairs.reshape(-1, 2).tolist():
        place += gap
        if value:
            found[place] = value
    return found


def received(view: ct.OperandWidget) -> tuple[dict[str, Any], dict[str, Any]]:
    return decode(bytes(view.get_state("_columns")["_columns"]))


def test_plots_arrive_to_half_a_step() -> None:
    view = ct.OperandWidget(None, operands=OPERANDS)
    arrays, facts = received(view)
    assert (facts["a"], facts["n_shown"], facts["signed"]) == (list(range(100)), len(HERE), False)
    for row, feature in enumerate(view.rows):
        plot = OPERANDS.plot(*feature.feature)
        bytes_ = unpacked(arrays["bytes"][slice(*arrays["start"][row : row + 2])], plot.size)
        values = bytes_ / 255 * arrays["peak"][row]
        # What is active at all is never sent as nothing.
        np.testing.assert_array_equal(bytes_ > 0, plot.reshape(-1) > 0)
        assert np.abs(values - plot.reshape(-1)).max() <= plot.max() / 255
        big = plot.reshape(-1) > plot.max() / 255
        assert np.abs(values - plot.reshape(-1))[big].max() <= plot.max() / 509


@pytest.mark.parametrize("cells", [[0], [254], [255], [256], [509, 510], [9999], [0, 9999], list(range(10_000)), []])
def test_gaps_of_any_length(cells: list[int]) -> None:
    plot = np.zeros((100, 100), np.float32)
    plot.reshape(-1)[cells] = 2
    assert np.flatnonzero(unpacked(pack_plot(plot, 2, signed=False), plot.size)).tolist() == cells
    plot.reshape(-1)[cells] = -2
    assert set(unpacked(pack_plot(plot, 2, signed=True), plot.size)[cells]) <= {1}


def test_256_features_are_no_larger_than_they_should_be() -> None:
    plots = made_up(300)
    operands = operands_of(plots, n_features=(100, 100, 100))
    assert 0.05 < np.mean([plot > 0 for plot in plots.values()]) < 0.12
    view = ct.OperandWidget(None, operands=operands)
    assert len(view.rows) == MOST_ROWS
    assert len(received(view)[0]["bytes"]) <= 600_000
    # The liveliest of all, by the sum of their activations.
    totals = {feature: plot.sum(dtype=np.float64) for feature, plot in plots.items()}
    least = sorted(totals.values())[-MOST_ROWS]
    assert all(totals[row.feature] >= least * (1 - 1e-6) for row in view.rows)


def test_features_can_be_named_in_many_ways() -> None:
    table = GRAPH.nodes
    pair, other = [(node.layer, node.index) for node in HERE[:2]]
    asked: list[Any] = [
        table.query("position == 3"),
        GRAPH,
        HERE,
        [tuple(node) for node in HERE],
        [GRAPH.row(node) for node in HERE],
        "position == 3",
        [(node.layer, node.index) for node in HERE],
        [f"L{node.layer}/{node.index}" for node in HERE],
        pd.DataFrame([node[1::2] for node in HERE], columns=["layer", "index"]),
    ]
    for nodes in asked:
        graph = None if isinstance(nodes, ct.AttributionGraph) else GRAPH
        view = ct.OperandWidget(None, nodes, graph=graph, operands=OPERANDS)
        assert {row.feature for row in view.rows} == set(PLOTS)
        assert view._chosen.elsewhere == (GRAPH.is_kind("feature").sum() - len(HERE) if nodes is GRAPH else 0)
    few = ct.OperandWidget(None, [other, pair, other], graph=GRAPH, operands=OPERANDS)
    assert [row.feature for row in few.rows[:2]] == [other, pair]
    assert (few._chosen.n_shown, len(few.rows)) == (2, len(HERE)), "the rest of the graph, to walk to"
    assert [row.feature for row in ct.OperandWidget(None, "L1/3", operands=OPERANDS).rows] == [(1, 3)]


def test_it_says_what_cannot_be_plotted() -> None:
    def make(nodes: Any = None, **options: Any) -> ct.OperandWidget:
        return ct.OperandWidget(None, nodes, **{"operands": OPERANDS, **options})

    elsewhere = [node for node in GRAPH.node_ids if node.kind == "feature" and node.position == 1]
    with pytest.raises(WidgetError, match=r"none of the 6 feature nodes is at token 3, '=', .* \(they are at 1\)"):
        make(elsewhere)
    with pytest.raises(WidgetError, match="'layer > 1' is a query over the nodes of a graph: pass graph="):
        make("layer > 1")
    with pytest.raises(WidgetError, match=r"is not a valid query: .*columns are kind, layer"):
        make("layr > 1", graph=GRAPH)
    with pytest.raises(WidgetError, match="'x' is not a feature: expected"):
        make(["x"])
    with pytest.raises(WidgetError, match="no columns layer and index, only name"):
        make(pd.DataFrame({"name": [1]}))
    with pytest.raises(FeatureError, match="no feature L1/99"):
        make([(1, 99)])
    with pytest.raises(WidgetError, match="no setting 'overlai': did you mean 'overlay'"):
        make(overlai="sum")
    with pytest.raises(WidgetError, match="pass a model, or operands="):
        make(operands=None)
    assert template_of("calc: 36+59=") == "calc: {a}+{b}="
    with pytest.raises(WidgetError, match="vary two numbers, and 'The capital of' has 0: pass template="):
        template_of("The capital of")


def test_links_are_the_strongest_edges() -> None:
    view = ct.OperandWidget(None, GRAPH, operands=OPERANDS)
    arrays, facts = received(view)
    dense = np.zeros((GRAPH.n_nodes, GRAPH.n_nodes))
    edges = GRAPH.edges
    dense[edges.target, edges.source] = edges.weight
    for row, feature in enumerate(view.rows):
        node = GRAPH.row(NodeId("feature", feature.layer, 3, feature.index))
        for side, weights in enumerate((dense[node], dense[:, node])):
            group = slice(*arrays["link_start"][2 * row + side : 2 * row + side + 2])
            best = [i for i in np.argsort(-np.abs(weights), kind="stable") if weights[i]][:MOST_LINKS]
            np.testing.assert_allclose(arrays["link_weight"][group], weights[best], rtol=1e-6)
            ids = zip(*(arrays[f"link_{part}"][group].tolist() for part in ("layer", "position", "index")), strict=True)
            assert list(ids) == [GRAPH.node_ids[i][1:] for i in best]
    names = {name for name in facts["token_of"] if name.startswith("embedding")}
    assert names
    assert all(
        facts["token_of"][name] == GRAPH.token((k, int(x), int(y), int(z)))
        for name in names
        for k, x, y, z in [name.split("/")]
    )
    assert "link_start" not in received(ct.OperandWidget(None, operands=OPERANDS))[0]


def test_state_goes_both_ways_and_is_checked() -> None:
    view = ct.OperandWidget(None, GRAPH, operands=OPERANDS, overlay="sum", k=95)
    node = HERE[2]
    for value in (node, tuple(node), (node.layer, node.index), f"L{node.layer}/{node.index}", GRAPH.row(node)):
        view.selected = None
        view.selected = value
        assert view.selected == node
    view.set_state({"selected": list(HERE[0]), "hovered": [36, 59], "families": ["other", "sum"], "enlarged": True})
    assert (view.selected, view.hovered, view.families, view.enlarged) == (HERE[0], (36, 59), ("sum", "other"), True)
    logit = next(node for node in GRAPH.node_ids if node.kind == "logit")
    view.selected = logit  # of the graph, which may be linked; it has no plot
    assert view.selected == logit
    for name, value, said in (
        ("selected", "L9/1", "there is no|has no node"),
        ("selected", "nonsense", "'nonsense' is not a feature; expected a feature such as"),
        ("hovered", (36, 100), "b = 100 is not on its axis, which has 100 numbers from 0 to 99"),
        ("hovered", 36, "expected a pair of operands"),
        ("k", 199, "k is 199; sums of these operands go from 0 to 198"),
        ("k", "x", "expected a whole number"),
        ("families", ["sums"], "'sums' is not a kind of family: expected sum, lookup, add, active, other"),
        ("scale", "log", "'log' is not one of 'shared', 'own'"),
        ("sort", "size", "'size' is not one of 'influence'"),
        ("shows", "difference", "no 'difference' without an intervention"),
    ):
        with pytest.raises(WidgetError, match=said):
            setattr(view, name, value)
    alone = ct.OperandWidget(None, operands=OPERANDS)
    with pytest.raises(WidgetError, match="L9/1 @3 has no plot here; there are 6: L"):
        alone.selected = "L9/1"


def test_before_and_after_an_intervention() -> None:
    after = {feature: plot.copy() for feature, plot in PLOTS.items()}
    first = next(iter(after))
    after[first][:50] = 0
    after[first][:, 3] = -1.5
    operands = operands_of(after, before=PLOTS)
    view = ct.OperandWidget(None, [first], operands=operands, shows="difference")
    arrays, facts = received(view)
    assert facts["signed"], "a negative activation"
    shares = [
        (unpacked(arrays[f"{when}bytes"], 10_000) - 128.0) * (unpacked(arrays[f"{when}bytes"], 10_000) > 0) / 127
        for when in ("", "before_")
    ]
    values = [share * arrays[f"{when}peak"][0] for share, when in zip(shares, ("", "before_"), strict=True)]
    error = max(arrays["peak"][0], arrays["before_peak"][0]) / 127
    difference = operands.difference.plot(*first).reshape(-1)
    assert np.abs(values[0] - values[1] - difference).max() <= error
    # A feature is of the family that it is of without the intervention.
    plain = ct.OperandWidget(None, [first], operands=operands_of(PLOTS))
    assert view.named == plain.named


@pytest.fixture(scope="module")
def model() -> ct.ReplacementModel:
    return ct.load_demo()


def test_on_the_embedded_model(model: ct.ReplacementModel) -> None:
    graph = model.attribute("calc: 36+59=", progress=False)
    view = ct.OperandWidget(model, graph, a=range(34, 40), b=range(57, 62))
    arrays, facts = received(view)
    assert (facts["template"], view.operands.shape, view.k, facts["tokens"][-1]) == ("calc: {a}+{b}=", (6, 5), 95, "=")
    assert facts["elsewhere"] > 0
    for row, feature in enumerate(view.rows[:3]):
        name = NodeId("feature", feature.layer, 6, feature.index)
        assert view.operands.plot(*feature.feature)[2, 2] == pytest.approx(graph.activation[graph.row(name)], rel=1e-3)
        for kind, weights in (("output", output_weights), ("embedding", embedding_weights)):
            shown = arrays[kind][row].astype(np.float32) * arrays[f"{kind}_peak"][row]
            np.testing.assert_allclose(shown, weights(model, *feature.feature), atol=1e-3 * arrays[f"{kind}_peak"][row])
    linked = ct.OperandWidget(model, view=graph.show(), a=range(34, 37), b=range(57, 62))
    assert linked.graph is not None
    assert linked.get_state("view")["view"].startswith("anywidget:")


def test_the_explorer_has_a_panel(model: ct.ReplacementModel) -> None:
    assert panel_kinds()["operands"].title == "Operands"
    words = model.attribute("the", progress=False)
    explorer = ct.CircuitExplorer(model, words, panel="operands")
    assert "vary two numbers" in explorer.get_state()["_missing"]


def test_pictures_hold_the_plots() -> None:
    share = np.array([[0, 1, -1], [0.5, 0, 0]], np.float32)
    data = png(share)
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (3, 2)
    pixels = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(2, 4)[:, 1:]
    opacity = np.frombuffer(chunks[b"tRNS"], np.uint8)[pixels]
    np.testing.assert_allclose(opacity / 255, np.abs(share), atol=1 / 127)
    colours = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[pixels]
    assert colours[0, 1].tolist() == [0xD9, 0x48, 0x01]
    assert colours[0, 2].tolist() == [0x76, 0x2A, 0x83]
    assert PLOTS

    hostile = operands_of(PLOTS, template=HOSTILE + "{a}{b}", tokens=("x", HOSTILE))
    picture = ct.OperandWidget(None, list(PLOTS), operands=hostile)._repr_mimebundle_()[0]["image/svg+xml"]
    root = ElementTree.fromstring(picture)
    images = [element for element in root.iter() if element.tag.endswith("image")]
    assert len(images) == len(PLOTS)
    assert all(b64decode(image.attrib["href"].split(",")[1])[:4] == b"\x89PNG" for image in images)
    assert not [element for element in root.iter() if element.tag.endswith("img")]


def test_a_page_holds_all_there_is(tmp_path: Path) -> None:
    view = ct.OperandWidget(None, GRAPH, operands=operands_of(PLOTS, template=HOSTILE + "{a}+{b}"), enlarged=True)
    text = view.to_html(tmp_path / "page.html").read_text()
    assert "default-src 'none'" in text
    assert HOSTILE not in text
    assert '"enlarged": true' in text
    assert "http://" not in text.replace("http://www.w3.org/", "")
