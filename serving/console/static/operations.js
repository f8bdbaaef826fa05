// The echo test of a peer: what it said, in words, whether it answered or not.
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
})();
