// Show how the try of the buses stands, until it has ended.
"use strict";

(() => {
  const LOOK_MS = 1000;

  const look = async () => {
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("try");
      const shown = document.getElementById("try");
      if (!response.ok || !fresh || !shown) return;
      if (fresh.innerHTML !== shown.innerHTML) shown.replaceWith(fresh);
      if (!fresh.hasAttribute("data-runs")) return;
    } catch { /* the page tells when nobody answers */ }
    setTimeout(look, LOOK_MS);
  };

  setTimeout(look, LOOK_MS);
})();
