// Keep a page live: changed regions come as HTML in server-sent events; a gateway that does not answer is told within 5 s.
"use strict";

(() => {
  const body = document.body;
  const live = document.getElementById("live");
  const announcements = document.getElementById("announcements");
  const servedHtml = new WeakMap();  // element -> the HTML it was made from, before times were rewritten
  let version = body.dataset.version;
  let source = null;
  let retryTimer = 0;

  // regions ---------------------------------------------------------------------------------------------------------

  const parts = (within) => within.querySelectorAll("li[id], tr[id]");

  const remember = (within) => {
    for (const part of parts(within)) servedHtml.set(part, part.outerHTML);
  };

  const FOCUSABLE = "a, button, summary, input";

  const focusPlace = () => {
    const focused = document.activeElement;
    const part = focused && focused.closest("[data-live] [id], [data-live]");
    if (!part) return null;
    const index = part === focused ? null : [...part.querySelectorAll(FOCUSABLE)].indexOf(focused);
    return { id: part.id, index, caret: [focused.selectionStart, focused.selectionEnd] };
  };

  const restoreFocus = (where) => {
    if (!where || (document.activeElement && document.activeElement !== body)) return;
    const part = document.getElementById(where.id);
    const element = part && (where.index === null ? part : part.querySelectorAll(FOCUSABLE)[where.index]);
    if (!element) return;
    element.focus({ preventScroll: true });
    if (typeof where.caret[0] === "number") element.setSelectionRange(...where.caret);
  };

  const ownElements = (whole, selector) =>  // without the elements of its parts
    [...whole.querySelectorAll(selector)].filter((one) => { const part = one.closest("li[id], tr[id]"); return !part || part === whole; });

  const copyUserState = (old, fresh) => {  // keep what a person has opened and typed
    const [details, inputs] = [ownElements(old, "details"), ownElements(old, "input")];
    ownElements(fresh, "details").forEach((one, index) => { one.open = Boolean(details[index] && details[index].open); });
    ownElements(fresh, "input").forEach((one, index) => {
      const before = inputs[index];
      if (before && before.type === "checkbox" && before.value === one.value) one.checked = before.checked;
      else if (before && before.id === one.id && before.value !== before.defaultValue) one.value = before.value;
    });
  };

  const replace = (region, html) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    remember(fresh.content);
    for (const part of parts(fresh.content)) {  // unchanged parts stay, with their focus and selection
      const old = document.getElementById(part.id);
      if (!old || !region.contains(old)) continue;
      if (servedHtml.get(old) === servedHtml.get(part)) part.replaceWith(old);
      else copyUserState(old, part);
    }
    copyUserState(region, fresh.content);
    region.replaceChildren(fresh.content);
    gatewayDisplay.update(region);
  };

  const announcement = () => {  // without the times in it, which change all the time
    const words = [];
    for (const one of document.querySelectorAll("[data-announce]")) {
      const copy = one.cloneNode(true);
      copy.querySelectorAll("time").forEach((time) => time.remove());
      words.push(copy.textContent.trim());
    }
    return words.join(" ");
  };

  const applyRegions = (event) => {
    const before = announcement();
    const focus = focusPlace();
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      const region = document.getElementById(id);
      if (region && region.hasAttribute("data-live")) replace(region, html);
      else if (region && region.hasAttribute("data-cell")) { region.innerHTML = html; gatewayDisplay.update(region); }
    }
    restoreFocus(focus);
    version = event.lastEventId || version;
    if (announcement() !== before) announcements.textContent = announcement();
    document.dispatchEvent(new CustomEvent("regions-changed"));
  };

  // connection -------------------------------------------------------------------------------------------------------

  const BEAT_MS = 2000;  // the gateway sends something at least so often
  const SUSPECT_MS = 3000;
  const PROBE_MS = 1400;
  const TICK_MS = 500;  // with the two above under 5 s
  const stale = document.getElementById("stale");
  let receivedAt = Date.now();
  let tickedAt = Date.now();
  let isProbing = false;
  let probedAt = 0;
  let isFull = false;

  const showState = (state) => {
    const text = live.dataset[state];
    if (live.textContent !== text) live.textContent = text;
    live.className = `live ${state === "on" ? "on" : "off"}`;
  };

  const noteReceived = () => {
    receivedAt = Date.now();
    isFull = false;
    showState("on");
    if (stale.hidden) return;
    stale.hidden = true;
    body.classList.remove("stale");
  };

  const showStale = () => {
    showState("off");
    if (!stale.hidden) return;
    const time = stale.querySelector("time");
    time.dateTime = new Date(gatewayDisplay.now() - (Date.now() - receivedAt)).toISOString();
    body.classList.add("stale");
    stale.hidden = false;
    gatewayDisplay.update(stale);
  };

  const connect = () => {
    if (source) source.close();
    source = new EventSource(`/live?at=${encodeURIComponent(body.dataset.address)}&seen=${encodeURIComponent(version)}`);
    const own = source;
    const on = (name, act) => own.addEventListener(name, (event) => { if (own === source) { noteReceived(); act(event); } });
    on("edition", (event) => { if (event.data !== body.dataset.edition) location.reload(); });  // the gateway was updated meanwhile
    on("regions", applyRegions);
    on("beat", () => {});
    on("gone", () => location.reload());
    own.onerror = () => { if (own === source) probe(); };
  };

  const probe = async () => {  // a connection that is silent may be cut, or the gateway may be gone: ask again before it is told
    if (isProbing) return;
    isProbing = true;
    const askedAt = probedAt = Date.now();
    const answer = await ask("/healthz");
    isProbing = false;
    if (document.hidden || receivedAt > askedAt) return;
    if (Date.now() - askedAt > 2 * PROBE_MS) return;  // this machine slept meanwhile
    if (!answer) showStale();
    else if (source.readyState === EventSource.CLOSED) await findOutWhy();
    else reconnect();
  };

  const ask = (address, options) => fetch(address, { cache: "no-store", signal: AbortSignal.timeout(PROBE_MS), ...options }).catch(() => null);

  const reconnect = () => {
    receivedAt = Date.now();
    connect();
  };

  const findOutWhy = async () => {  // the browser gives up when the request is refused
    const response = await ask(body.dataset.address, { method: "HEAD", redirect: "manual" });
    if (response && (response.type === "opaqueredirect" || response.status === 404)) location.reload();  // sign in again, or the page is gone
    if (response && response.ok) { isFull = true; showState("full"); }
    receivedAt = Date.now();
    clearTimeout(retryTimer);
    retryTimer = setTimeout(connect, 2 * BEAT_MS);
  };

  const tick = () => {
    const slept = Date.now() - tickedAt > SUSPECT_MS;  // a suspended machine or a page that was kept still: what waits is read first
    tickedAt = Date.now();
    if (document.hidden) return;
    if (slept) reconnect();
    else if (!isFull && Date.now() - receivedAt > SUSPECT_MS && Date.now() - probedAt > (stale.hidden ? 0 : BEAT_MS)) probe();
  };

  document.addEventListener("visibilitychange", () => {  // a hidden page causes no work
    if (!document.hidden) reconnect();
    else if (source) source.close();
  });
  addEventListener("pagehide", () => source && source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) reconnect(); });
  document.addEventListener("address-changed", () => { version = ""; reconnect(); });

  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(".menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  document.querySelectorAll("[data-live]").forEach(remember);
  if (body.dataset.address) {
    connect();
    setInterval(tick, TICK_MS);
  }
})();
