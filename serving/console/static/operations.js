// The echo test of a peer, and what stays unfolded.
(() => {
  "use strict";
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-echo]");
    if (!button) return;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    try {
      const told = await window.radloop.call("POST", button.dataset.echo);
      window.radloop.said(told.said, !told.answered);
    } catch (error) {
      window.radloop.said(error.message, true);
    } finally {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });

  // What was unfolded stays so when a part refreshes itself.
  let unfolded = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    unfolded = [...event.detail.target.querySelectorAll("details[id][open]")].map((one) => one.id);
  });
  document.addEventListener("htmx:afterSwap", () => unfolded.forEach((id) => {
    const one = document.getElementById(id);
    if (one) one.open = true;
  }));
})();
