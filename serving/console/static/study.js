// The right side of a study: a finding by its number, then one key for the verdict; no question is asked twice.
(() => {
  "use strict";
  const panel = document.getElementById("findings");
  const PATIENCE = 4000;
  const typing = (target) => target.closest?.("input:not([type=radio]), textarea, select, dialog");
  let chosen = null; // number of the finding
  let armed = null; // timer after a digit
  const rowOf = (number) => panel.querySelector(`[data-number="${number}"]`);
  const rows = () => [...panel.querySelectorAll("[data-number]")];

  const look = (row, turnOn = false) => {
    if (!row?.dataset.result || row.matches("fieldset")) return;
    const detail = { instance: row.dataset.instance, heat: row.dataset.heat, box: row.dataset.box?.split(" ").map(Number), turnOn };
    document.dispatchEvent(new CustomEvent("radloop:look", { detail }));
  };
  const choose = (number, { focus = true } = {}) => {
    const row = rowOf(number);
    rows().forEach((one) => one.classList.toggle("chosen", one === row));
    chosen = row ? number : null;
    if (!row) return;
    row.closest("details")?.setAttribute("open", "");
    if (focus) row.scrollIntoView({ block: "nearest" });
    look(row);
  };
  const arm = () => {
    clearTimeout(armed);
    panel.classList.add("armed");
    armed = setTimeout(disarm, PATIENCE);
  };
  const disarm = () => { clearTimeout(armed); armed = null; panel.classList.remove("armed"); };

  // ---- Modify and add: a small form ------------------------------------------------------------------------------------
  const word = document.getElementById("word");
  const field = (name) => document.getElementById(name);
  let about = null;
  const open = (kind, row) => {
    const result = row?.dataset.result || panel.querySelector("[data-result]")?.dataset.result || panel.querySelector("[data-answer]").dataset.answer;
    about = { kind, result, finding: row?.dataset.finding || "", awareness: row?.dataset.awareness || "SAW_AI" };
    field("word-title").textContent = kind === "ADD" ? "Add a finding" : `Modify: ${row.dataset.meaning}`;
    field("word-form").reset();
    field("word-own").hidden = true;
    field("word-code").options[0].textContent = kind === "ADD" ? "choose…" : "as the model says";
    word.showModal();
    field(kind === "ADD" ? "word-code" : "word-severity").focus();
  };
  const codeOf = () => {
    const option = field("word-code").selectedOptions[0];
    if (option.value === "own") return { value: field("own-value").value.trim(), scheme: field("own-scheme").value.trim(), meaning: field("own-meaning").value.trim() };
    return option.value ? { value: option.dataset.code, scheme: option.dataset.scheme, meaning: option.dataset.meaning } : undefined;
  };
  field("word-code").addEventListener("change", () => { field("word-own").hidden = field("word-code").value !== "own"; });
  word.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.target.matches("textarea, button")) { event.preventDefault(); field("word-form").requestSubmit(); }
  });
  field("word-cancel").addEventListener("click", () => word.close());
  field("word-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const option = field("word-code").selectedOptions[0];
    const body = { finding: about.finding, kind: about.kind, awareness: about.awareness };
    let result = about.result;
    if (about.kind === "ADD" && option.dataset.finding) { body.finding = option.dataset.finding; result = option.dataset.result; }
    else if (codeOf()) body.code = codeOf();
    for (const [name, id] of [["severity", "word-severity"], ["laterality", "word-laterality"], ["text", "word-text"]]) if (field(id).value) body[name] = field(id).value;
    try {
      const told = await window.radloop.call("POST", `/api/v1/results/${result}/verdicts`, body);
      window.radloop.said(told.thanks);
      word.close();
      window.htmx.trigger(panel, "refresh");
    } catch (error) {
      window.radloop.said(error.message, true);
    }
  });

  // ---- Blinded: the reader's own word first ----------------------------------------------------------------------------
  const judged = () => [...panel.querySelectorAll("#blind fieldset")].map((one) => ({ result_id: one.dataset.result, finding: one.dataset.finding, judgement: one.querySelector("input:checked")?.value })).filter((one) => one.judgement);
  panel.addEventListener("submit", async (event) => {
    if (event.target.id !== "blind") return;
    event.preventDefault();
    try {
      await window.radloop.call("POST", `/api/v1/studies/${event.target.dataset.study}/blind`, { judgements: judged() });
      location.reload();
    } catch (error) {
      window.radloop.said(error.message, true);
    }
  });

  // ---- Sign off: s, and s again ------------------------------------------------------------------------------------------
  const signing = document.getElementById("signing");
  const hint = document.getElementById("sign-hint");
  let sure = null;
  const sign = () => {
    if (!signing || signing.hidden) return;
    if (sure) { clearTimeout(sure); sure = null; hint.textContent = ""; signing.requestSubmit(); return; }
    hint.textContent = "s again signs";
    signing.scrollIntoView({ block: "nearest" });
    sure = setTimeout(() => { sure = null; hint.textContent = ""; }, PATIENCE);
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const row = chosen && rowOf(chosen);
    if (/^[1-9]$/.test(event.key)) { choose(Number(event.key)); arm(); return; }
    if (event.key === "j" || event.key === "k") { const all = rows(); const now = all.findIndex((one) => Number(one.dataset.number) === chosen); const next = all[Math.max(0, Math.min(all.length - 1, now < 0 ? 0 : now + (event.key === "j" ? 1 : -1)))]; if (next) { choose(Number(next.dataset.number)); arm(); } return; }
    if (event.key === "Escape") { disarm(); choose(null); return; }
    if (event.key === "s") { sign(); return; }
    const judge = armed && row?.querySelector(`[data-judge="${CSS.escape(event.key)}"]`);
    const verdict = armed && row?.querySelector(`[data-verdict="${CSS.escape(event.key)}"]`);
    if (!judge && !verdict) return;
    // The keys of the page (u, x) are this finding's for a moment.
    event.preventDefault();
    event.stopImmediatePropagation();
    disarm();
    (judge || verdict).click();
  }, true);

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-word]");
    if (opener) open(opener.dataset.word, opener.closest("[data-number]"));
    const row = event.target.closest("#findings li[data-number]");
    if (row) { choose(Number(row.dataset.number), { focus: false }); if (event.target.closest("[data-look]")) look(row, true); }
  });
  document.addEventListener("radloop:want-look", () => { if (!chosen) choose(1, { focus: false }); });
  signing?.addEventListener("submit", () => { hint.textContent = "signing…"; });

  // ---- Live: the alerts come first; the findings follow, unless the reader is in the middle of a blinded verdict ----------
  document.addEventListener("htmx:beforeSwap", (event) => {
    // One that was asked for before the reader spoke may arrive after: what was said stays.
    if (event.detail.target === panel && judged().length) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "alerts") {
      const signed = event.detail.target.querySelector("[data-signed]");
      if (signed && signing && !signing.hidden) { signing.hidden = true; window.radloop.said(`This study was signed by ${signed.dataset.signed}.`); }
      if (!judged().length) window.htmx.trigger(panel, "live");
    }
    if (event.detail.target === panel && chosen) choose(chosen, { focus: false });
  });
})();
