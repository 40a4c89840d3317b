// Keeps a page live: regions that changed come as HTML by server-sent events, and moments are told as "3 min ago".
"use strict";

(() => {
  const body = document.body;
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const clockIsAhead = Date.now() - Date.parse(body.dataset.now);  // the browser's clock may be wrong, the gateway's counts
  const asServed = new WeakMap();  // element -> the HTML that made it, before moments were told anew
  let version = body.dataset.version;
  let source = null;
  let again = 0;

  // moments ---------------------------------------------------------------------------------------------------------

  const span = (seconds) => {
    if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} days`;
  };

  const phrases = {
    for: (seconds) => `for ${span(seconds)}`,
    ago: (seconds) => (seconds < 1 ? "just now" : `${span(seconds)} ago`),
    in: (seconds) => (seconds > -1 ? "now" : `in ${span(-seconds)}`),
  };

  const tellMoments = (within) => {
    const now = Date.now() - clockIsAhead;
    for (const time of within.querySelectorAll("time[data-how]")) {
      if (!time.title) time.title = time.textContent;
      const words = phrases[time.dataset.how]((now - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== words) time.textContent = words;
    }
  };

  // regions ---------------------------------------------------------------------------------------------------------

  const parts = (within) => within.querySelectorAll("li[id], tr[id]");

  const remember = (within) => {
    for (const part of parts(within)) asServed.set(part, part.outerHTML);
  };

  const place = () => {
    const held = document.activeElement;
    const part = held && held.closest("[data-live] [id]");
    const things = "a, button, summary, input";
    return part && { id: part.id, index: [...part.querySelectorAll(things)].indexOf(held), things };
  };

  const putBack = (where) => {
    if (!where || (document.activeElement && document.activeElement !== body)) return;
    const part = document.getElementById(where.id);
    const thing = part && part.querySelectorAll(where.things)[where.index];
    if (thing) thing.focus({ preventScroll: true });
  };

  const openDetails = (within) => [...within.querySelectorAll("details")].map((one) => one.open);

  const replace = (region, html) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    remember(fresh.content);
    for (const part of parts(fresh.content)) {  // what did not change stays, with its focus and selection
      const old = document.getElementById(part.id);
      if (!old || !region.contains(old)) continue;
      if (asServed.get(old) === asServed.get(part)) part.replaceWith(old);
      else {
        const open = openDetails(old);
        part.querySelectorAll("details").forEach((one, index) => { one.open = Boolean(open[index]); });
      }
    }
    const open = openDetails(region);
    region.replaceChildren(fresh.content);
    region.querySelectorAll("details").forEach((one, index) => { if (!one.closest("li[id]")) one.open = Boolean(open[index]); });
    tellMoments(region);
  };

  const announcement = () => {  // without the moments in it, which change by themselves
    const words = [];
    for (const one of document.querySelectorAll("[data-announce]")) {
      const copy = one.cloneNode(true);
      copy.querySelectorAll("time").forEach((time) => time.remove());
      words.push(copy.textContent.trim());
    }
    return words.join(" ");
  };

  const take = (event) => {
    const before = announcement();
    const focus = place();
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      const region = document.getElementById(id);
      if (region && region.hasAttribute("data-live")) replace(region, html);
    }
    putBack(focus);
    version = event.lastEventId || version;
    if (announcement() !== before) said.textContent = announcement();
    document.dispatchEvent(new CustomEvent("regions-changed"));
  };

  // the line to the gateway -------------------------------------------------------------------------------------------

  const show = (words, state) => {
    if (live.textContent !== words) live.textContent = words;
    live.className = `live ${state}`;
  };

  const listen = () => {
    clearTimeout(again);
    if (source) source.close();
    source = new EventSource(`/events?at=${encodeURIComponent(body.dataset.at)}&seen=${encodeURIComponent(version)}`);
    source.onopen = () => show("live", "on");
    source.addEventListener("regions", take);
    source.addEventListener("gone", () => location.reload());
    source.onerror = () => {
      show("no answer from the gateway, trying again", "off");
      if (source.readyState === EventSource.CLOSED) again = setTimeout(listen, 5000);  // refused: the browser gave up
    };
  };

  document.addEventListener("visibilitychange", () => {  // nobody looks: the gateway need not work for it
    if (!document.hidden) listen();
    else if (source) source.close();
  });
  addEventListener("pagehide", () => source && source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });

  document.querySelectorAll("[data-live]").forEach(remember);
  tellMoments(document);
  setInterval(() => { if (!document.hidden) tellMoments(document); }, 1000);
  if (body.dataset.at) listen();
})();
