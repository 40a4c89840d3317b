// Show the overview once the gateway has restarted: /healthz then has another id of its run.
"use strict";

(() => {
  const { run, then } = document.getElementById("restarting").dataset;
  const LOOK_MS = 1000;

  const look = async () => {
    try {
      const response = await fetch("/healthz", { cache: "no-store" });
      const health = response.ok ? await response.json() : {};
      if (health.run_id && health.run_id !== run) {
        location.assign(then ?? "/maintenance");
        return;
      }
    } catch { /* it does not answer yet */ }
    setTimeout(look, LOOK_MS);
  };

  setTimeout(look, LOOK_MS);
})();
