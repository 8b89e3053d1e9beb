// Asks the emulator what is and what was, and shows it. It keeps nothing that it could get wrong:
// states come whole with each answer; only the list's rows are collected here.
import { draw, seconds } from "./timeline.js";

const $ = id => document.getElementById(id);
const MOST_ROWS = 3000, SHOWN = 120, LONGEST = 400;
const rows = [], notes = new Map();
let run = "", after = -1, state = null, skew = 0, answered = true, hits = [], held = null, database = "";

const span = () => Number($("span").value);
const now = () => held ?? Date.now() / 1000 + skew;

async function poll() {
  const long = span() > 300;
  try {
    const since = Date.now() / 1000 + skew - span() - 1;
    const reply = await fetch(`/state?after=${after}&since=${since}&run=${run}`);
    const known = run;
    take(await reply.json());
    if (known && known !== run) say("This is now another emulator: it was started again.");
    else if (!answered) say("The emulator answers again.");
    answered = true;
  } catch {
    if (answered) say("The emulator has ended, or does not answer.", true);
    answered = false;
  }
  setTimeout(poll, document.hidden ? 2000 : long ? 1000 : 300);
}

function take(news) {
  if (news.run !== run) {
    run = news.run; after = -1; rows.length = 0; notes.clear();
  }
  skew = news.now - Date.now() / 1000;
  for (const event of news.events) {
    if (event.n <= after) continue;
    after = event.n;
    const made = rowOf(event);
    if (made) rows.push({ ...made, n: event.n, at: event.at, event });
  }
  if (rows.length > MOST_ROWS) rows.splice(0, rows.length - MOST_ROWS);
  while (notes.size > MOST_ROWS) notes.delete(notes.keys().next().value);
  if (held !== null) return;
  state = news;
  figures();
  words();
}

// An event as a row of the list; null for what another row or the timeline says.
function rowOf(e) {
  switch (e.kind) {
    case "response":
      return { kind: "request", failed: e.status >= 500, what: `${e.method} ${e.path}`, status: e.status, took: e.wait, why: e.cause ?? "" };
    case "log": return logOf(e);
    case "refused": return { kind: "state", failed: true, what: e.user ? `Aurora refused ${e.user}` : "Aurora refused a client", why: e.reason };
    case "pinned": return { kind: "state", failed: true, what: "RDS Proxy pinned a client", why: e.reason };
    case "conflict": return { kind: "state", failed: true, what: "conflict", why: e.reason };
    case "throttled": return { kind: "state", failed: true, what: "throttled", why: "reserved concurrency is used up" };
    case "fault": return { kind: "state", what: `fault: ${e.fault}`, why: "" };
    case "aurora": return { kind: "state", what: `database ${e.state}`, why: "" };
    case "error": return { kind: "state", failed: true, what: "the emulator itself", why: e.error };
    case "instance":
      if (e.state === "init") return { kind: "state", what: `λ ${e.instance.slice(0, 6)} init`, why: "" };
      if (e.state === "gone") return { kind: "state", failed: !/reaped|stopped/.test(e.reason), what: `λ ${e.instance.slice(0, 6)} gone`, why: e.reason ?? "" };
  }
  return null;
}

function logOf(e) {
  if (/^(START|END) /.test(e.line)) return null;
  const name = `λ ${e.instance.slice(0, 6)}  `;
  try {
    const { level, message, cause, code, request_id: id, time, ...rest } = JSON.parse(e.line);
    if (id && (cause || code)) notes.set(id, cause ?? code);
    const more = Object.entries(rest).map(([key, value]) => `${key}=${value}`).join(" ");
    return { kind: "log", failed: /ERROR|CRITICAL/.test(level), what: `${name}${level} ${message} ${more}`, why: cause ?? "" };
  } catch {
    return { kind: "log", what: `${name}${e.line}`, why: "" };
  }
}

function figures() {
  const { aurora } = state;
  $("state").textContent = aurora.status ?? aurora.state;
  $("dsql").hidden = !aurora.status;
  if (aurora.status) $("awake-title").textContent = "awake";
  $("state").className = { awake: "is-good", asleep: "is-rest", idle: "is-rest" }[aurora.state] ?? "is-wait";
  $("connections").textContent = `${aurora.connections} of ${aurora.max_connections}${behind(aurora)}`;
  $("awake").textContent = `${aurora.awake_seconds.toFixed(1)} s`;
  $("instances").textContent = instances() || "none";
  const last = state.history.seconds.filter(([second]) => second >= Math.floor(state.now) - 5 && second < Math.floor(state.now));
  $("rate").textContent = (last.reduce((sum, [, a, b, c]) => sum + a + b + c, 0) / 5).toFixed(1);
  if (database && database !== aurora.state) say(`The database is ${aurora.state}.`);
  database = aurora.state;
}

// The sessions behind a proxy or a pooler.
function behind(aurora) {
  if (aurora.sessions === undefined) return "";
  return ` on ${aurora.sessions} session${aurora.sessions === 1 ? "" : "s"}${aurora.pinned ? `, ${aurora.pinned} pinned` : ""}`;
}

function instances() {
  const alive = state.instances.filter(each => each.state !== "gone");
  return ["running", "init", "frozen"].map(s => [alive.filter(i => i.state === s).length, s])
    .filter(([n]) => n).map(([n, s]) => `${n} ${s}`).join(", ");
}

// The same as the timeline shows, to be read.
function words() {
  const { aurora, history } = state, last = history.database[history.database.length - 1];
  const sums = history.seconds.reduce((s, [, ok, client, server, slowest]) =>
    [s[0] + ok, s[1] + client, s[2] + server, Math.max(s[3], slowest)], [0, 0, 0, 0]);
  const total = sums[0] + sums[1] + sums[2], logins = aurora.logins ? `, ${aurora.logins} logging in` : "";
  $("words").textContent = [
    last ? `The database has been ${last[1]} for ${seconds(Math.max(0, state.now - last[0]))}, with ${aurora.connections} connection${aurora.connections === 1 ? "" : "s"}${logins}.` : "",
    total ? `${total} requests in this time: ${sums[1]} with 4xx, ${sums[2]} with 5xx, the slowest took ${seconds(sums[3] / 1000)}.` : "No requests in this time.",
    history.waiting.length ? `${history.waiting.length} waiting.` : "",
    `Instances: ${instances() || "none"}.`,
  ].filter(Boolean).join(" ");
  $("timeline").setAttribute("aria-label", `Timeline of the last ${$("span").selectedOptions[0].text}: the text below says the same`);
}

function list() {
  const wanted = new Set([...document.querySelectorAll("#kinds input:checked")].map(each => each.value));
  const filter = $("filter").value.toLowerCase(), shown = [];
  for (let n = rows.length - 1; n >= 0 && shown.length < SHOWN; n--) {
    const r = rows[n];
    if (held !== null && r.at > held) continue;
    if (!wanted.has(r.kind) && !(r.failed && wanted.has("failure"))) continue;
    const why = r.why || notes.get(r.event.request_id) || "";
    if (filter && !`${r.what} ${r.status ?? ""} ${why}`.toLowerCase().includes(filter)) continue;
    shown.push([r, why]);
  }
  const body = $("rows");
  const key = shown.map(([r, why]) => `${r.n}${why.length}`).join();
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...(shown.length ? shown.map(made) : [made([{ kind: "", what: rows.length ? "nothing matches" : "nothing yet", at: null }, ""])]));
}

function made([r, why]) {
  const tr = document.createElement("tr");
  tr.className = r.kind;
  const time = r.at === null ? "" : new Date(r.at * 1000).toLocaleTimeString([], { hour12: false });
  const cells = [time, r.what, r.status ?? "", r.took === undefined ? "" : seconds(r.took), why];
  for (const value of cells) {
    const whole = String(value), cut = whole.length > LONGEST;
    const td = Object.assign(document.createElement("td"), { textContent: cut ? `${whole.slice(0, LONGEST)} …` : whole });
    if (cut) td.title = whole.slice(0, 5000);
    tr.append(td);
  }
  if (r.status) tr.children[2].className = `is-${r.status < 400 ? "good" : r.status < 500 ? "wait" : "bad"}`;
  if (r.failed) tr.children[r.status ? 4 : 1].className = "is-bad";
  return tr;
}

let listed = 0;
function frame() {
  if (state && !document.hidden) {
    const began = performance.now();
    const responses = rows.filter(r => r.kind === "request" && r.at > now() - span())
      .map(r => ({ ...r.event, cause: r.why || notes.get(r.event.request_id) }));
    hits = draw($("timeline"), state, responses, now(), span());
    if (began - listed > 450) { list(); listed = began; }
    Object.assign(window, { hits, drawn: performance.now() - began }); // for the tests
  }
  setTimeout(() => requestAnimationFrame(frame), span() > 300 ? 500 : 100);
}

function say(words, bad) {
  $("said").textContent = words;
  $("said").className = bad ? "bad" : "";
}

for (const button of document.querySelectorAll("button[data-do]")) {
  button.addEventListener("click", async () => {
    say(`${button.textContent} …`);
    try {
      const reply = await fetch(`/${button.dataset.do}`, { method: "POST" });
      const answer = await reply.json();
      if (reply.ok) database = answer.aurora.state;
      say(reply.ok ? `${button.textContent}: done. ${button.title}.` : answer.error, !reply.ok);
    } catch { say("The emulator does not answer.", true); }
  });
}
$("hold").addEventListener("click", () => {
  held = held === null ? now() : null;
  $("hold").setAttribute("aria-pressed", String(held !== null));
});
for (const each of [$("filter"), ...document.querySelectorAll("#kinds input")]) each.addEventListener("input", list);
$("timeline").addEventListener("pointermove", event => {
  const { offsetX: x, offsetY: y } = event;
  const found = hits.findLast(([left, top, wide, tall]) => x >= left && x <= left + wide && y >= top && y <= top + tall);
  const tip = $("tip");
  tip.hidden = !found;
  if (!found) return;
  tip.textContent = found[4];
  tip.style.left = `${Math.min(x + 12, $("timeline").clientWidth - tip.offsetWidth - 4)}px`;
  tip.style.top = `${y + 14}px`;
});
$("timeline").addEventListener("pointerleave", () => { $("tip").hidden = true; });

poll();
frame();
