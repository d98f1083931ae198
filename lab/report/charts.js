// The interactive charts. The data are in the page as JSON, see `lab/report/charts.py`.
const data = JSON.parse(document.getElementById("chart-data").textContent);
const isDark = matchMedia("(prefers-color-scheme: dark)");
const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false };
const NARROW = 700; // px; below, the legend is under the chart
const ROW = 30; // px
const MOST_TICKS = 8;
// Plotly reads a few HTML tags in texts, and a name comes from a table.
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const inLines = (text) => {
  const most = innerWidth < NARROW ? 30 : 70; // characters
  const lines = text.match(new RegExp(`.{1,${most}}(?= |$)|\\S+`, "g")) ?? [];
  return lines.map((line) => plain(line.trim())).join("<br>  ");
};
const hover = (name, details) => [`<b>${plain(name)}</b>`, ...details.map(inLines)].join("<br>");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const passes = (label) => {
  const system = data.systems[label];
  const fits = (name) => !choices.get(name) || (choices.get(name) === "yes") === system[name];
  const hasContract = !choices.get("contract") || choices.get("contract") === system.contract;
  return (choices.has("references") || !system.isReference) && hasContract && ["redis", "django"].every(fits);
};
const isChosen = (label) => !choices.has("only") || choices.getAll("only").includes(label);

// A click on a legend entry shows only that system, a second click all of them.
const isolate = (label) => choose("only", ...(choices.getAll("only").join() === label ? [] : [label]));

const trace = (label, points) => {
  const system = data.systems[label];
  const colour = system.colours[Number(isDark.matches)];
  const details = (point) => [system.contract, ...point.details];
  return {
    name: plain(system.name),
    meta: label,
    visible: isChosen(label) ? true : "legendonly",
    spoken: points.map((point) => [system.name, ...details(point)].join("; ")),
    text: points.map((point) => hover(system.name, details(point))),
    hovertemplate: "%{text}<extra></extra>",
    marker: {
      color: colour,
      size: 11,
      symbol: points.map((point) => system.symbol + (point.isDisturbed || point.isOverloaded ? "-open" : "")),
    },
    line: { color: colour, width: 1.5 },
  };
};
const bars = (points, colour) => ({
  type: "data",
  symmetric: false,
  array: points.map((point) => (point.interval ? point.interval[1] - point.value : 0)),
  arrayminus: points.map((point) => (point.interval ? point.value - point.interval[0] : 0)),
  color: colour,
  thickness: 1.5,
  width: 4,
});
const PREFIXES = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
const withPrefix = (value, unit) => {
  // A share, which no reader expects in thousandths of a percent.
  if (unit === "%") return `${Number((100 * value).toPrecision(3))} %`;
  const [scale, prefix] = PREFIXES.find(([least]) => value > least * 0.999) ?? [1, ""];
  return `${Number((value / scale).toPrecision(3))} ${prefix}${unit}`;
};
// Plotly's labels of a logarithmic axis overlap, or lack their unit.
const decades = (least, most, unit) => {
  const steps = most / least > (innerWidth < NARROW ? 20 : 2000) ? [1] : [1, 2, 5];
  const powers = [...Array(40).keys()].map((number) => 10 ** (number - 20));
  const values = powers.flatMap((power) => steps.map((step) => step * power));
  return { tickvals: values, ticktext: values.map((value) => withPrefix(value, unit)), tickmode: "array" };
};
const axis = (title, unit, type, values) => {
  const [least, most] = [Math.min(...values.filter((value) => value > 0)), Math.max(...values)];
  const isEmpty = !(least <= most);
  const scaled = type === "log"
    ? { range: [Math.log10(least / 1.3), Math.log10(most * 1.3)], ...decades(least, most, unit) }
    // A dot at zero is beside its name and not on it.
    : { range: [(most || 1) * -0.03, (most || 1) * 1.05], tickformat: unit === "%" ? ".3~p" : "~s", ticksuffix: unit === "%" ? "" : unit };
  return {
    type,
    ...(isEmpty ? {} : scaled),
    title: { text: title },
    gridcolor: style("--line"),
    zeroline: false,
    automargin: true,
    tickangle: 0,
    fixedrange: true, // otherwise a finger that scrolls the page would zoom the chart
  };
};
// A tick at each value, with a label where there is room for one beside the last.
const ticksAt = (values, unit, type, width) => {
  const scale = type === "log" ? Math.log : (value) => value;
  const tickvals = [...new Set(values)].sort((a, b) => a - b);
  const [first, last] = [scale(tickvals[0]), scale(tickvals.at(-1))];
  let free = -Infinity;
  const ticktext = tickvals.map((value) => {
    const at = last > first ? ((scale(value) - first) / (last - first)) * width : 0;
    if (at < free) return "";
    const text = withPrefix(value, unit);
    free = at + 9 * text.length; // px
    return text;
  });
  return { tickmode: "array", tickvals, ticktext };
};
// A point and the ends of its interval.
const reach = (points) => points.filter((point) => isChosen(point.label)).flatMap((point) => [point.value, ...(point.interval ?? [])]);
// `plot` is the height of the plot without its axes, px.
const layout = (width, plot, more) => ({
  dragmode: false,
  hovermode: "closest",
  paper_bgcolor: style("--card"),
  plot_bgcolor: style("--card"),
  font: { color: style("--ink"), family: "system-ui, sans-serif", size: 13 },
  hoverlabel: { align: "left", bgcolor: style("--card"), font: { color: style("--ink"), size: 12 } },
  margin: { l: 10, r: 20, t: 20, b: 10 },
  showlegend: true,
  legend: width < NARROW ? { orientation: "h", y: -75 / plot, yanchor: "top" } : {},
  ...more,
});

const drawMeasure = (div) => {
  const measure = data.measures.find((one) => one.name === choices.get("measure")) ?? data.measures[0];
  const points = measure.points.filter((point) => passes(point.label));
  const traces = points.map((point) => {
    const one = trace(point.label, [point]);
    return { ...one, mode: "markers", x: [point.value], y: [one.name], error_x: bars([point], one.line.color) };
  });
  const names = traces.filter((one) => one.visible === true).map((one) => one.name);
  // A logarithmic axis has no zero.
  const scale = points.some((point) => point.value <= 0) ? "linear" : choices.get("scale") ?? "log";
  return Plotly.react(div, traces, layout(div.clientWidth, ROW * names.length + 20, {
    height: 110 + ROW * names.length + (div.clientWidth < NARROW ? ROW * traces.length * 0.7 : 0),
    xaxis: axis(measure.title, measure.unit, scale, reach(points)),
    yaxis: { type: "category", categoryorder: "array", categoryarray: names, autorange: "reversed", automargin: true, fixedrange: true },
  }), CONFIG);
};

// The picture that answers "how long would my tasks wait?"; the rate of the reader is a line.
const drawWaits = (div) => {
  const scale = choices.get("scale") ?? "log";
  const points = data.waits.points.filter((point) => passes(point.label));
  const traces = [...new Set(points.map((point) => point.label))].flatMap((label) => {
    const all = points.filter((point) => point.label === label);
    // No line leads to a point with a growing backlog, whose wait depends on the length of the
    // trial, and none to a disturbed point.
    const isApart = (point) => point.isOverloaded || point.isDisturbed;
    const groups = [all.filter((point) => !isApart(point)), all.filter(isApart)];
    return groups.filter((group) => group.length).map((group, number) => {
      const one = trace(label, group);
      return {
        ...one,
        mode: isApart(group[0]) ? "markers" : "lines+markers",
        showlegend: !number,
        x: group.map((point) => point.rate),
        y: group.map((point) => point.value),
        error_y: bars(group, one.line.color),
      };
    });
  });
  const rate = Number(choices.get("rate"));
  const marks = rate > 0 ? [rate] : [];
  const rates = points.filter((point) => isChosen(point.label)).map((point) => point.rate);
  return Plotly.react(div, traces, layout(div.clientWidth, 330, {
    height: 430 + (div.clientWidth < NARROW ? ROW * traces.length * 0.7 : 0),
    margin: { l: 10, r: 20, t: 40, b: 10 },
    xaxis: {
      ...axis("tasks per second offered", "/s", scale, [...rates, ...marks]),
      // Those of a load sweep are many, and have decades between them.
      ...(rates.length && new Set(rates).size <= MOST_TICKS ? ticksAt(rates, "/s", scale, div.clientWidth * 0.6) : {}),
    },
    yaxis: axis(`wait, ${data.waits.percentile}`, "s", scale, reach(points)),
    shapes: marks.map((x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line: { color: style("--accent"), dash: "dash" } })),
    annotations: marks.map((x) => ({ x: scale === "log" ? Math.log10(x) : x, y: 1, yref: "paper", yanchor: "bottom", showarrow: false, text: `your rate, ${x}/s`, font: { color: style("--accent") } })),
  }), CONFIG);
};

// Plotly has no keyboard: legend entries become buttons, and arrow keys move over the points.
const withKeys = (div, output) => {
  let at = -1;
  div.on("plotly_legendclick", (event) => {
    isolate(event.data[event.curveNumber].meta);
    return false; // instead of what Plotly would do
  });
  div.on("plotly_legenddoubleclick", () => false);
  const speak = ({ points: [point] }) => {
    output.textContent = point.data.spoken[point.pointNumber];
  };
  div.on("plotly_hover", speak);
  div.on("plotly_click", speak); // Plotly takes a tap for a click, and emits no hover
  div.tabIndex = 0;
  div.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step || event.target !== div) return;
    event.preventDefault();
    if (!div.data.some((one) => one.visible === true)) return;
    const all = div.data.flatMap((one, curveNumber) =>
      one.visible === true ? one.x.map((_, pointNumber) => ({ curveNumber, pointNumber })) : []);
    at = (at + step + all.length) % all.length;
    Plotly.Fx.hover(div, [all[at]]); // which emits no event
    output.textContent = div.data[all[at].curveNumber].spoken[all[at].pointNumber];
  });
};
const legendKeys = (div) => {
  div.querySelectorAll(".legend .traces").forEach((entry, number) => {
    const [{ trace: { meta: label } }] = entry.__data__;
    entry.setAttribute("role", "button");
    entry.setAttribute("tabindex", "0");
    entry.setAttribute("aria-label", `Show only ${data.systems[label].name}`);
    entry.onkeydown = async (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      isolate(label);
      div.querySelectorAll(".legend .traces")[number]?.focus();
    };
  });
};

const start = (id, draw) => {
  const div = document.getElementById(id);
  const output = document.getElementById(`${id}-point`);
  let isNew = true;
  const redraw = async () => {
    await draw(div);
    if (isNew) withKeys(div, output);
    isNew = false;
    legendKeys(div);
  };
  redraws.push(redraw);
  isDark.addEventListener("change", redraw);
};
if (data.measures.length) start("measure-chart", drawMeasure);
if (data.waits) start("waits-chart", drawWaits);

// The controls write the fragment, and follow it.
for (const control of document.querySelectorAll("[data-choice]")) {
  const name = control.dataset.choice;
  const isBox = control.type === "checkbox";
  const follow = () => {
    const value = choices.get(name);
    if (isBox) control.checked = value === control.value;
    else if (control.type === "radio") control.checked = value ? value === control.value : control.defaultChecked;
    else if (document.activeElement !== control) control.value = value ?? "";
  };
  control.addEventListener("input", () => choose(name, isBox && !control.checked ? "" : control.value));
  redraws.push(follow);
}
for (const row of document.querySelectorAll("#first tr[data-label]")) {
  const { label } = row.dataset;
  const box = document.createElement("input");
  box.type = "checkbox";
  box.setAttribute("aria-label", `Show ${label} in the charts`);
  box.addEventListener("input", () => {
    const all = Object.keys(data.systems);
    const chosen = all.filter((other) => (other === label ? box.checked : isChosen(other)));
    choose("only", ...(chosen.length === all.length ? [] : chosen));
  });
  row.cells[0].prepend(box);
  redraws.push(() => {
    row.hidden = !passes(label);
    box.checked = isChosen(label);
  });
}
show();
