// Show the page once the gateway has restarted: /healthz then has another id of its run. A page that moves is gone from here, and
// no script may ask another origin: after some vain looks the browser goes there.
"use strict";

(() => {
  const { run, then, new: newAddress } = document.getElementById("restarting").dataset;
  const LOOK_MS = 1000;
  const MOST_VAIN_LOOKS = 8;
  let vainLooks = 0;

  const look = async () => {
    try {
      const response = await fetch("/healthz", { cache: "no-store" });
      vainLooks = 0;
      const health = response.ok ? await response.json() : {};
      if (health.run_id && health.run_id !== run) {
        location.assign(then ?? "/maintenance");
        return;
      }
    } catch { // it does not answer yet
      vainLooks += 1;
      if (newAddress && vainLooks >= MOST_VAIN_LOOKS) {
        location.assign(newAddress);
        return;
      }
    }
    setTimeout(look, LOOK_MS);
  };

  setTimeout(look, LOOK_MS);
})();
