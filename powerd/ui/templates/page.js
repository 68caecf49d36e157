"use strict";
(() => {
  const base = document.body.dataset.base, rest = 600000;
  const byId = (id) => document.getElementById(id);
  let skew = Date.parse(document.body.dataset.now) - Date.now();
  let stream, timer, ticker, busy = false, again = false;

  // Makes `old` equal to `fresh` and keeps its elements, and so the focus, opened details and the position.
  function morph(old, fresh) {
    if (old.nodeType !== 1) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.dataset.until && old.dataset.until === fresh.dataset.until) return;
    for (const { name } of [...old.attributes])
      if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes)
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (old.localName === "input" && old.type !== "hidden") return;
    const alike = (a, b) => a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
    let here = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      let match = here;
      while (match && !alike(match, next) && next.id) match = match.nextSibling;
      if (match && alike(match, next)) {
        while (here !== match) here = drop(here);
        morph(here, next);
        here = here.nextSibling;
      } else old.insertBefore(document.adoptNode(next), here);
    }
    while (here) here = drop(here);
  }

  function drop(node) {
    const next = node.nextSibling;
    node.remove();
    return next;
  }

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    clearTimeout(timer);
    try {
      const response = await fetch(base + "?live", { headers: { Accept: "text/html" } });
      if (response.redirected) { location.reload(); return; } // the session has ended: log in
      if (!response.ok) return;
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      if (!fresh.body.dataset.base) return;
      skew = Date.parse(fresh.body.dataset.now) - Date.now();
      fresh.getElementById("message").textContent = byId("message").textContent;
      document.title = fresh.title;
      morph(byId("main"), fresh.getElementById("main"));
      byId("time").textContent = fresh.getElementById("time").textContent;
    } catch { /* the stream shows that the server cannot be reached */ } finally {
      busy = false;
      if (again) { again = false; soon(); } else if (!document.hidden) timer = setTimeout(refresh, rest);
      tick();
    }
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(refresh, 300);
  }

  function tick() {
    clearTimeout(ticker);
    const place = document.querySelector("[data-until]");
    if (!place || document.hidden) return;
    const left = Math.round((Date.parse(place.dataset.until) - Date.now() - skew) / 1000);
    if (left < 0) { place.textContent = ""; return; }
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(left / 3600), minutes = Math.floor(left / 60) % 60;
    place.textContent = hours ? `in ${hours} h ${two(minutes)} min` : `in ${minutes}:${two(left % 60)}`;
    ticker = setTimeout(tick, hours ? 60000 : 1000);
  }

  function listen() {
    const opened = stream = new EventSource(base + "api/events");
    const live = (text) => { byId("live").textContent = text; };
    opened.onopen = () => live(", live");
    opened.onerror = () => {
      live(", not connected");
      if (opened.readyState === 2) setTimeout(() => { if (stream === opened && !document.hidden) listen(); }, 30000);
    };
    let first = true;
    opened.addEventListener("hello", () => { if (!first) soon(); first = false; });
    for (const name of EVENTS) opened.addEventListener(name, soon);
  }

  async function send(event) {
    const form = event.target;
    if (!form.action.includes("/api/") || form.action.endsWith("/logout")) return;
    event.preventDefault();
    const buttons = form.querySelectorAll("button"), message = byId("message");
    for (const each of buttons) each.disabled = true;
    try {
      const response = await fetch(form.action, {
        method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(form)),
      });
      const answer = await response.json().catch(() => ({}));
      message.className = response.ok ? "" : "bad";
      message.textContent = response.ok ? `Done: ${buttons[0].getAttribute("aria-label") || buttons[0].textContent}.`
        : answer.error || `The server has refused this (${response.status}).`;
    } catch {
      message.className = "bad";
      message.textContent = "The server cannot be reached.";
    }
    for (const each of buttons) each.disabled = false;
    refresh();
  }

  function show() {
    if (document.hidden) {
      stream.close();
      clearTimeout(timer);
      clearTimeout(ticker);
    } else {
      listen();
      refresh();
    }
  }

  document.addEventListener("visibilitychange", show);
  document.addEventListener("submit", send);
  if (document.hidden) return;
  listen();
  tick();
  timer = setTimeout(refresh, rest);
})();
