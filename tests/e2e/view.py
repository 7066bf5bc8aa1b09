"""A graph view on a page, and waiting until what is shown is at rest."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

# Animations that end, and the frames in which their end is painted.
_SETTLED = """async () => {
  const frame = () => new Promise(done => requestAnimationFrame(done));
  await frame();
  const ends = a => a.playState === "running" && a.effect?.getComputedTiming().endTime !== Infinity;
  await Promise.allSettled(document.getAnimations().filter(ends).map(a => a.finished));
  await frame();
  await frame();
}"""
_STILL = """async (element, [read, frames]) => {
  const value = { box: () => JSON.stringify(element.getBoundingClientRect()), text: () => element.textContent }[read];
  let [last, same] = [value(), 0];
  for (let passed = 0; same < frames; passed++) {
    if (passed > 1800) throw new Error(`the ${read} of the element keeps changing: ${last}`);
    await new Promise(done => requestAnimationFrame(done));
    const now = value();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}"""


def settled(page: Page) -> None:
    """Wait until animations have ended and their end is painted."""
    page.evaluate(_SETTLED)


def still_box(element: Locator, frames: int = 3) -> None:
    """Wait until the place and size of an element are the same over some frames."""
    element.evaluate(_STILL, ["box", frames])


def still_text(element: Locator, frames: int) -> str:
    """The text of an element, once it has been the same over some frames."""
    return element.evaluate(_STILL, ["text", frames])


class View:
    """One graph view on a page."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.stage = root.locator(".ctw-stage")
        self.panel = root.locator(".ctw-panel")
        self.rows = root.locator(".ctw-row")

    def wait(self) -> View:
        """Until it is drawn and stays where it is."""
        self.root.locator(".ctw-token").first.wait_for(state="attached")
        self.stage.wait_for()
        still_box(self.stage)
        return self

    def title(self) -> str:
        """Name of the node that the panel describes."""
        return self.panel.locator(".ctw-title").inner_text()

    def slide(self, name: str, value: float) -> None:
        """Move a slider as a hand does, by keys."""
        slider = self.root.locator(".ctw-slider", has_text=name).locator("input")
        now = float(slider.input_value())
        key = "ArrowRight" if value > now else "ArrowLeft"
        for _ in range(round(abs(value - now) * 100)):
            slider.press(key)

    def count(self, name: str) -> str:
        """What a slider says it leaves."""
        return self.root.locator(".ctw-slider", has_text=name).locator(".ctw-count").inner_text()

    def hover_some_node(self) -> tuple[float, float]:
        """Move over the plot until a node is hovered; returns the place in the page."""
        self.stage.scroll_into_view_if_needed()
        box = self.stage.bounding_box()
        assert box
        mouse = self.root.page.mouse
        for step in range(400):
            x = box["x"] + box["width"] * ((step * 0.6180339) % 1)
            y = box["y"] + box["height"] * (0.2 + 0.6 * ((step * 0.7548776) % 1))
            mouse.move(x, y)
            if self.root.locator(".ctw-tooltip:visible").count():
                return x, y
        raise AssertionError("no node under 400 places of the plot")
