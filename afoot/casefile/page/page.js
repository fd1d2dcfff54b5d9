"use strict";
// Texts of the chain keep to their room, however wide this machine's fonts are.
const squeeze = () => document.querySelectorAll(".chain text").forEach((text) => {
  text.removeAttribute("textLength");
  if (text.getComputedTextLength() <= text.dataset.room) return;
  text.setAttribute("lengthAdjust", "spacingAndGlyphs");
  text.setAttribute("textLength", text.dataset.room);
});
squeeze();
window.addEventListener("resize", squeeze);
// A reading line over the plots: the time under the pointer, and each plot's values then.
const views = JSON.parse(document.getElementById("readings").textContent);
document.querySelectorAll(".stack").forEach((stack) => {
  const data = views[stack.dataset.view];
  const plots = [...stack.querySelectorAll(".plot")];
  const areas = plots.map((plot) => plot.querySelector(".area"));
  const digits = (value) => (Math.abs(value) >= 1e4 ? value.toExponential(2) : Number(value.toPrecision(3)).toString());
  const text = (value, unit) => {
    if (value === null) return "no data";
    if (unit === "ms") [value, unit] = [value / 1e3, "s"];
    if (unit === "s") {
      for (const [size, name, factor] of [[120, " min", 1 / 60], [1, " s", 1], [1e-3, " ms", 1e3]]) {
        if (Math.abs(value) >= size) return digits(value * factor) + name;
      }
      return value ? digits(value * 1e6) + " µs" : "0 s";
    }
    for (const [size, prefix] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      if (value >= size) return digits(value / (prefix === "k" ? 1e3 : size)) + " " + prefix + unit.replace(/[{}]/g, "");
    }
    return digits(value) + " " + (unit === "1" ? "" : unit.replace(/[{}]/g, "").replace("By", "B"));
  };
  const show = (step) => {
    const at = ((step + 0.5) / data.steps) * 100 + "%";
    const time = new Date((data.start + step * data.step) * 1000).toISOString().slice(11, 16);
    plots.forEach((plot, index) => {
      if (!areas[index]) return;
      const line = areas[index].querySelector(".reader");
      const reading = plot.querySelector(".reading");
      line.hidden = reading.hidden = false;
      line.style.left = at;
      reading.textContent = time + " · " + data.plots[index].map((one) => text(one.values[step], one.unit)).join(" · ");
    });
  };
  const hide = () => stack.querySelectorAll(".reader, .reading").forEach((element) => { element.hidden = true; });
  stack.addEventListener("pointermove", (event) => {
    const area = event.target.closest(".area") || areas.find((one) => one);
    if (!area) return;
    const box = area.getBoundingClientRect();
    const step = Math.floor(((event.clientX - box.left) / box.width) * data.steps);
    if (step >= 0 && step < data.steps) show(step); else hide();
  });
  stack.addEventListener("pointerleave", hide);
});
