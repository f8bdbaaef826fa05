// What every page does: speak to the REST interface, keys, live parts, theme. No page needs more than this and htmx,
// but for the images of a study (viewer.js) and handing in files (upload.js).
(() => {
  "use strict";
  const csrf = document.querySelector("meta[name=csrf]")?.content || "";

  // ---- The REST interface: <form data-api> and <button data-api>; JSON out, what came back said in words -------------
  const said = (text, problem = false) => {
    const line = document.createElement("p");
    line.textContent = text;
    if (problem) line.className = "problem";
    const box = document.getElementById("said");
    box.append(line);
    setTimeout(() => line.remove(), problem ? 12000 : 5000);
  };

  // What is still shown goes along to the next page: half a second is no time to read it.
  window.addEventListener("pagehide", () => {
    const shown = [...document.querySelectorAll("#said p")].map((line) => [line.textContent, line.className === "problem"]);
    if (shown.length) sessionStorage.setItem("said", JSON.stringify(shown));
  });
  const kept = sessionStorage.getItem("said");
  sessionStorage.removeItem("said");
  for (const [text, problem] of JSON.parse(kept || "[]")) said(text, problem);

  const call = async (method, url, body) => {
    const headers = { "X-CSRF-Token": csrf, Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch {
      throw new Error("The console does not answer: nothing was changed, try again.");
    }
    const told = answer.headers.get("content-type")?.includes("json") ? await answer.json() : {};
    if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    if (!answer.ok) throw new Error(told.error || `It was refused (${answer.status}).`);
    return told;
  };

  // Fields become JSON by their kind; an empty one is left out, unless it is data-kept.
  const KINDS = { number: Number, boolean: (text) => text === "true", list: (text) => text.split(/[\s,]+/).filter(Boolean) };
  const bodyOf = (form) => {
    const body = {};
    for (const field of form.elements) {
      if (!field.name || field.disabled || (field.type === "radio" && !field.checked)) continue;
      if (field.type === "checkbox" && field.dataset.kind !== "each") body[field.name] = field.checked;
      else if (field.type === "checkbox") { body[field.name] ||= []; if (field.checked) body[field.name].push(field.value); }
      else if (field.value !== "" || field.dataset.kept !== undefined) body[field.name] = (KINDS[field.dataset.kind] || String)(field.value);
    }
    return body;
  };

  const ask = (element) => new Promise((resolve) => {
    const dialog = document.getElementById("ask");
    const text = document.getElementById("ask-text");
    const wants = element.dataset.ask !== undefined;
    document.getElementById("ask-title").textContent = element.dataset.confirm || element.textContent.trim();
    document.getElementById("ask-label").textContent = element.dataset.ask || "";
    text.hidden = !wants;
    text.required = wants;
    text.value = "";
    dialog.onclose = () => resolve(dialog.returnValue === "yes" ? { text: text.value } : null);
    dialog.returnValue = "";
    dialog.showModal();
  });

  const after = (element, told) => {
    const [what, where] = (element.dataset.then || "said").split(/:(.*)/);
    if (what === "next") location.assign(told.next || "/");
    else if (what === "go") location.assign(where.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(told[name])));
    else if (what === "reload") location.reload();
    else if (what === "refresh") document.querySelectorAll(where).forEach((one) => window.htmx.trigger(one, "refresh"));
    if (what !== "next" && what !== "go") said(told.thanks || element.dataset.said || "Done.");
    element.dispatchEvent(new CustomEvent("radloop:done", { bubbles: true, detail: told }));
  };

  const act = async (element, body) => {
    const buttons = element.matches("form") ? element.querySelectorAll("button") : [element];
    if (element.dataset.confirm !== undefined || element.dataset.ask !== undefined) {
      const answer = await ask(element);
      if (!answer) return;
      if (element.dataset.ask !== undefined) body = { ...body, [element.dataset.askName || "why"]: answer.text };
    }
    buttons.forEach((one) => { one.disabled = true; });
    element.setAttribute("aria-busy", "true");
    try {
      after(element, await call(element.dataset.method || "POST", element.dataset.api, body));
    } catch (error) {
      said(error.message, true);
    } finally {
      buttons.forEach((one) => { one.disabled = false; });
      element.removeAttribute("aria-busy");
    }
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-api]")) return;
    event.preventDefault();
    act(form, bodyOf(form));
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-api]");
    if (button) act(button, button.dataset.json ? JSON.parse(button.dataset.json) : undefined);
    const opener = event.target.closest("[data-open]");
    if (opener) document.getElementById(opener.dataset.open).showModal();
    const row = event.target.closest("tr[data-row]");
    if (row && !event.target.closest("a, button, input, select, label") && !getSelection().toString()) row.querySelector("a")?.click();
    document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });

  // ---- Live parts: <div data-live="/api/v1/.../events" hx-get="..." hx-trigger="live, refresh"> --------------------------
  const alive = (root) => root.querySelectorAll("[data-live]").forEach((part) => {
    if (part.radloopSource) return;
    const source = part.radloopSource = new EventSource(part.dataset.live);
    source.onmessage = () => {
      if (!part.isConnected) { source.close(); return; } // swapped out by another of itself
      if (!document.hidden) window.htmx.trigger(part, "live"); else part.dataset.stale = "1";
    };
    source.onopen = () => { if (part.dataset.lost) { delete part.dataset.lost; window.htmx.trigger(part, "live"); } };
    source.onerror = () => { part.dataset.lost = "1"; };
  });
  document.addEventListener("visibilitychange", () => document.querySelectorAll("[data-stale]").forEach((part) => {
    if (!document.hidden) { delete part.dataset.stale; window.htmx.trigger(part, "live"); }
  }));
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = csrf;
    // A page that refreshes itself is nobody's hand: it must not keep a session alive.
    if (event.detail.triggeringEvent?.type === "live") event.detail.headers["X-Background"] = "1";
  });

  // ---- Keys ----------------------------------------------------------------------------------------------------------
  const typing = (target) => target.closest?.("input, textarea, select, dialog, [contenteditable]");
  const rows = () => [...document.querySelectorAll("tr[data-row]")].filter((row) => row.offsetParent !== null);
  let leading = false;
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.classList.contains("current"));
    const next = all[Math.min(all.length - 1, Math.max(0, now < 0 ? 0 : now + step))];
    all[now]?.classList.remove("current");
    next.classList.add("current");
    next.querySelector("a")?.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (leading) {
      leading = false;
      const target = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      if (target) { event.preventDefault(); target.click(); }
      return;
    }
    const search = document.querySelector("[data-search]");
    const own = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (own && own.offsetParent !== null) { event.preventDefault(); if (own.matches("input, select, textarea")) own.focus(); else own.click(); }
    else if (event.key === "g") leading = true;
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "Enter" && event.target === document.body) document.querySelector("tr[data-row].current a")?.click();
    else if (event.key === "/" && search) { event.preventDefault(); search.focus(); }
    else if (event.key === "?") document.getElementById("keys").showModal();
  });

  // ---- Theme ---------------------------------------------------------------------------------------------------------
  document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "light" ? "dark" : "light";
    document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
    location.reload();
  });

  document.addEventListener("htmx:load", (event) => alive(event.detail.elt.parentElement || document));
  document.addEventListener("DOMContentLoaded", () => alive(document));
  window.radloop = { call, said };
})();
