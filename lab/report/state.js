// The choices of the reader are in the URL's fragment, #section&key=value, so that a link has them.
const redraws = [];
const readFragment = () => {
  const parts = location.hash.slice(1).split("&").filter(Boolean);
  const section = parts.length && !parts[0].includes("=") ? decodeURIComponent(parts.shift()) : "";
  return [section, new URLSearchParams(parts.join("&"))];
};
let [section, choices] = readFragment();
const show = () => {
  const fragment = [encodeURIComponent(section), choices.toString()].filter(Boolean).join("&");
  history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  redraws.forEach((redraw) => redraw());
};
const choose = (key, ...values) => {
  choices.delete(key);
  values.filter(Boolean).forEach((value) => choices.append(key, value));
  show();
};
addEventListener("hashchange", () => {
  const [target, chosen] = readFragment();
  section = target;
  // A link of the page to one of its sections has no choices: those of the reader remain.
  if (!target || [...chosen].length) choices = chosen;
  show();
});
// A browser looks for an element with the id "section&key=value", and would find none.
if (section && [...choices].length) document.getElementById(section)?.scrollIntoView();
document.documentElement.classList.add("scripted");
