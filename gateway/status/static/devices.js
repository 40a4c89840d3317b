// Search, sort, group and choose the columns of the table of devices without loading the page again, and remember the choice.
"use strict";

(() => {
  const STORE = "devices";
  const KEPT = ["sort", "group", "column"];
  const TYPING_MS = 250;
  const form = document.getElementById("device-search");
  const title = document.getElementById("children-title");
  let timer = 0;

  const isPhone = () => matchMedia("(max-width: 720px)").matches;

  const query = () => {
    const given = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...given]) if (!value) given.delete(name);
    const all = [...form.querySelectorAll("input[name=column]")];
    if (all.every((one) => one.checked === one.defaultChecked) && !new URLSearchParams(location.search).has("column")) given.delete("column");
    return given;
  };

  const keep = (parameters) => {
    const kept = new URLSearchParams([...parameters].filter(([name]) => KEPT.includes(name)));
    try { localStorage.setItem(STORE, kept.toString()); } catch { /* it stays in the address */ }
  };

  const show = (parameters) => {
    const address = location.pathname + (parameters.size ? `?${parameters}` : "");
    if (address === document.body.dataset.address) return;
    history.replaceState(null, "", address);
    document.body.dataset.address = address;
    keep(parameters);
    document.dispatchEvent(new CustomEvent("address-changed"));
  };

  const jump = () => { if (isPhone()) title.scrollIntoView({ block: "start" }); };

  const hidden = (name, value) => {
    let one = form.querySelector(`input[type=hidden][name=${name}]`);
    if (!one) {
      one = document.createElement("input");
      Object.assign(one, { type: "hidden", name });
      form.append(one);
    }
    one.value = value || "";
  };

  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => { show(query()); if (event.target.type === "search") jump(); }, event.target.type === "search" ? TYPING_MS : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    show(query());
    jump();
  });

  document.getElementById("children").addEventListener("click", (event) => {  // sorting, filtering and paging by the links of the table
    const link = event.target.closest("thead a, .chips a, .pages a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const parameters = new URL(link.href).searchParams;
    for (const name of ["sort", "show"]) hidden(name, parameters.get(name));
    show(parameters);
    if (link.closest(".pages")) title.scrollIntoView({ block: "start" });
  });

  let kept = "";
  try { kept = localStorage.getItem(STORE) || ""; } catch { /* nothing is remembered here */ }
  if (kept && !location.search) {
    const parameters = new URLSearchParams(kept);
    form.elements.group.value = parameters.get("group") || "";
    hidden("sort", parameters.get("sort"));
    if (parameters.has("column")) for (const one of form.querySelectorAll("input[name=column]")) one.checked = parameters.getAll("column").includes(one.value);
    show(parameters);
  }
  form.classList.add("immediate");
})();
