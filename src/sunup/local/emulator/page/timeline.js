// Draws the timeline on a canvas: what was when is the emulator's, the layout is the width's.

const STYLES = {
  awake: "good", running: "good", init: "wait", resuming: "wait", pausing: "wait",
  asleep: "rest", idle: "rest", frozen: "rest",
};
const NARROW = 560, MOST_LANES = 14, TRACKS = 5, MANY = 120;

export const seconds = value =>
  value < 1 ? `${Math.round(value * 1000)} ms` : value < 90 ? `${value.toFixed(1)} s`
    : value < 5400 ? `${(value / 60).toFixed(1)} min` : `${(value / 3600).toFixed(1)} h`;

const ago = back => !back ? "now" : `−${back >= 3600 ? `${back / 3600} h` : back >= 120 ? `${back / 60} min` : `${back} s`}`;

// Returns what a pointer may find: [x, y, width, height, words].
export function draw(canvas, state, responses, now, span) {
  const css = getComputedStyle(document.documentElement);
  const colour = name => css.getPropertyValue(`--${name}`).trim();
  const colours = Object.fromEntries(
    ["ink", "soft", "line", "card", "good", "wait", "rest", "bad", "good-fill", "wait-fill", "rest-fill"].map(n => [n, colour(n)]));
  const width = canvas.clientWidth, narrow = width < NARROW;
  const left = narrow ? 0 : 112, right = 6, from = now - span;
  const x = at => left + (Math.max(at, from) - from) / span * (width - left - right);
  const { history } = state;
  const lanes = pick(history.lanes);
  // One by one only where all of them are known: the list forgets sooner than the history.
  const count = countOf(history.seconds, from);
  const few = count <= MANY && responses.filter(r => r.at >= Math.ceil(from)).length >= countOf(history.seconds, Math.ceil(from) + 1);
  const dots = few ? tracked(responses.filter(r => r.at >= from), history.waiting, now, span) : null;

  // The rows, from top to bottom: their height, and what they are called.
  const head = narrow ? 15 : 0;
  const rows = {};
  let y = 0;
  const row = (name, height) => { rows[name] = { y: y + head, height }; y += height + head + 8; };
  row("marks", 16);
  row("requests", few ? Math.max(1, dots.tracks) * 13 + 4 : 52);
  row("database", 24);
  row("connections", 44);
  lanes.forEach(lane => row(lane.id, narrow ? 12 : 16));
  if (!lanes.length) row("instances", 16);
  const height = y + 20;

  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  c.font = "12px system-ui, sans-serif";
  c.textBaseline = "middle";
  const hits = [];
  const text = (words, at, middle, name = "ink", align = "left") => {
    c.fillStyle = colours[name]; c.textAlign = align; c.fillText(words, at, middle);
  };
  // `scale`: what the row's full height means; both stand beside the row, or above it.
  const label = (name, words, scale) => {
    const { y: top, height: tall } = rows[name];
    text(words, 0, narrow ? top - 8 : top + tall / 2 - (scale ? 8 : 0), "soft");
    if (scale) text(scale, narrow ? width - right : 0, narrow ? top - 8 : top + tall / 2 + 8, "soft", narrow ? "right" : "left");
  };

  // Time: lines behind everything.
  const parts = narrow ? 3 : 6;
  for (let n = 0; n <= parts; n++) {
    const at = x(now - span * n / parts);
    c.fillStyle = colours.line;
    c.fillRect(at, 0, 1, height - 20);
    text(ago(span * n / parts), Math.min(Math.max(at, 1), width - right), height - 8, "soft", n === 0 ? "right" : n === parts ? "left" : "center");
  }

  // A bar is as tall as its state is awake, so that colour is not all that tells them apart.
  const bar = (start, end, top, tall, name, words) => {
    const begin = x(start), long = Math.max(x(end) - begin, 1), style = STYLES[name];
    const share = style === "good" ? 1 : style === "wait" ? 0.7 : 0.4;
    const high = tall * share, upper = top + (tall - high);
    c.fillStyle = colours[`${style}-fill`];
    c.fillRect(begin, upper, long, high);
    c.fillStyle = colours[style];
    c.fillRect(begin, upper, long, 1.5);
    if (long > name.length * 7 + 8 && high >= 14) text(name, begin + 5, upper + high / 2 + 1);
    if (words) hits.push([begin, top, long, tall, words]);
  };

  const scale = few ? "" : `up to ${drawDensity(c, colours, history.seconds, rows.requests, x, from, now, left, width - right, hits)}/s`;
  if (few) drawDots(c, colours, dots.list, rows.requests, x, hits);
  label("requests", "requests", scale);

  label("database", "database");
  history.database.forEach(([at, name], n) => {
    const end = n + 1 < history.database.length ? history.database[n + 1][0] : now;
    if (end > from) bar(at, end, rows.database.y, 24, name, `database ${name} for ${seconds(end - at)}`);
  });

  label("connections", "connections",
    drawConnections(c, colours, history.connections, state.aurora, rows.connections, x, now, left, width - right, hits));

  lanes.forEach(lane => {
    const { y: top, height: tall } = rows[lane.id], name = lane.id.slice(0, 6);
    label(lane.id, `λ ${name}`);
    const ready = lane.ready ?? lane.gone ?? now, gone = lane.gone ?? now;
    if (ready > from) bar(lane.began, ready, top, tall, "init", `${name} init for ${seconds(ready - lane.began)}`);
    if (gone > from && gone > ready) bar(ready, gone, top, tall, "frozen", "");
    // Of many runs that were joined only the share is known: the bar is as strong as that.
    for (const [start, end, busy] of lane.runs) {
      if ((end ?? now) <= from) continue;
      const long = (end ?? now) - start, share = end === null ? 1 : Math.min(1, busy / Math.max(long, 1e-6));
      c.globalAlpha = Math.max(0.3, share);
      bar(start, end ?? now, top, tall, "running", share > 0.95 ? `${name} running for ${seconds(long)}` : `${name} running ${Math.round(share * 100)} % of ${seconds(long)}`);
      c.globalAlpha = 1;
    }
    if (lane.gone) {
      const begin = x(lane.gone) + 3, whole = `✕ ${lane.reason}`;
      text(begin + c.measureText(whole).width < width ? whole : "✕", begin, top + tall / 2, "soft");
      hits.push([begin - 3, top, 16, tall, `${name} is gone: ${lane.reason}`]);
    }
  });
  if (!lanes.length) { label("instances", "instances"); text("none yet: send a request", left + 4, rows.instances.y + 8, "soft"); }

  // Marks: each its line; words only where they fit beside the last ones.
  label("marks", "faults");
  // Those that lie on each other share a dot.
  const groups = [];
  for (const [at, words] of history.marks) {
    if (at < from) continue;
    const last = groups[groups.length - 1];
    if (last && x(at) - last.place < 9) last.words.push(words);
    else groups.push({ place: x(at), words: [words] });
  }
  let free = -Infinity;
  groups.forEach(({ place, words }, n) => {
    c.strokeStyle = colours.bad; c.setLineDash([3, 3]); c.beginPath();
    c.moveTo(place, rows.marks.y); c.lineTo(place, height - 20); c.stroke(); c.setLineDash([]);
    c.fillStyle = colours.bad; c.beginPath(); c.arc(place, rows.marks.y + 8, 4, 0, 7); c.fill();
    const short = words.length > 1 ? `${words[0]} +${words.length - 1}` : words[0];
    const wide = c.measureText(short).width, next = groups[n + 1]?.place ?? width;
    if (place + 8 + wide < next - 4) { text(short, place + 8, rows.marks.y + 8, "bad"); free = place + 8 + wide; }
    else if (place - 8 - wide > Math.max(free, (groups[n - 1]?.place ?? left - 8) + 6)) { text(short, place - 8, rows.marks.y + 8, "bad", "right"); free = place; }
    hits.push([place - 5, rows.marks.y, 10, height, words.join(", ")]);
  });
  return hits;
}

// Those that live, and the last that ended.
function pick(lanes) {
  const alive = lanes.filter(l => !l.gone), gone = lanes.filter(l => l.gone);
  const room = Math.max(0, MOST_LANES - alive.length);
  return [...(room ? gone.slice(-room) : []), ...alive].slice(-MOST_LANES).sort((a, b) => a.began - b.began);
}

function countOf(buckets, from) {
  let count = 0;
  for (const [second, ok, client, server] of buckets) if (second >= from - 1) count += ok + client + server;
  return count;
}

// Requests in as many tracks as overlap.
function tracked(responses, waiting, now, span) {
  const all = [
    ...responses.map(r => ({ ...r, start: r.at - r.wait, end: r.at })),
    ...waiting.map(r => ({ ...r, start: r.at, end: now })),
  ].sort((a, b) => a.start - b.start);
  const free = [];
  for (const each of all) {
    let track = free.findIndex(end => end < each.start);
    if (track < 0) track = Math.min(free.length, TRACKS - 1);
    free[track] = each.end + span / 100;
    each.track = track;
  }
  return { list: all, tracks: free.length };
}

const styleOf = status => !status ? "wait" : status < 400 ? "good" : status < 500 ? "wait" : "bad";

function drawDots(c, colours, list, { y }, x, hits) {
  for (const r of list) {
    const middle = y + 8 + r.track * 13, begin = x(r.start), end = x(r.end), style = styleOf(r.status);
    c.fillStyle = colours[style];
    c.globalAlpha = 0.5; c.fillRect(begin, middle - 1.5, Math.max(end - begin, 1), 3); c.globalAlpha = 1;
    if (r.status) {
      c.beginPath();
      if (r.status < 400) c.arc(end, middle, 5, 0, 7);
      else if (r.status < 500) { c.moveTo(end, middle - 6); c.lineTo(end + 6, middle); c.lineTo(end, middle + 6); c.lineTo(end - 6, middle); }
      else { c.moveTo(end, middle - 6); c.lineTo(end + 6, middle + 5); c.lineTo(end - 6, middle + 5); }
      c.fill();
    }
    const words = `${r.method} ${r.path} ${r.status || "waiting"} ${seconds(r.end - r.start)}${r.cause ? `: ${r.cause}` : ""}`;
    hits.push([begin - 6, middle - 6, end - begin + 12, 13, words]);
  }
}

// Answers a second, by class; returns the most.
function drawDensity(c, colours, buckets, { y, height }, x, from, now, left, right, hits) {
  const columns = new Map(), wide = Math.max(3, (right - left) / Math.min(300, now - from));
  for (const [second, ok, client, server, slowest] of buckets) {
    if (second + 1 < from || second + 1 > now) continue; // only whole seconds
    const column = Math.floor((x(second) - left) / wide);
    const sum = columns.get(column) ?? { ok: 0, client: 0, server: 0, slowest: 0, number: 0 };
    sum.ok += ok; sum.client += client; sum.server += server; sum.number += 1;
    sum.slowest = Math.max(sum.slowest, slowest);
    columns.set(column, sum);
  }
  const most = Math.max(1, ...[...columns.values()].map(s => (s.ok + s.client + s.server) / s.number));
  for (const [column, sum] of columns) {
    let top = y + height;
    for (const [value, style] of [[sum.ok, "good"], [sum.client, "wait"], [sum.server, "bad"]]) {
      if (!value) continue;
      const tall = Math.max(1.5, value / sum.number / most * height);
      top -= tall;
      c.fillStyle = colours[style];
      c.fillRect(left + column * wide, top, wide - 1, tall);
    }
    const rate = (sum.ok + sum.client + sum.server) / sum.number;
    hits.push([left + column * wide, y, wide, height, `${rate.toFixed(0)} a second; ${sum.client} with 4xx, ${sum.server} with 5xx; the slowest took ${seconds(sum.slowest / 1000)}`]);
  }
  return most.toFixed(0);
}

function drawConnections(c, colours, points, aurora, { y, height }, x, now, left, right, hits) {
  const limit = aurora.max_connections;
  const most = Math.max(1, aurora.connections, ...points.map(p => p[1]));
  const top = Math.min(limit, Math.max(4, Math.ceil(most * 1.25)));
  points.forEach(([at, value], n) => {
    const end = n + 1 < points.length ? points[n + 1][0] : now;
    const tall = height * Math.min(1, value / top), begin = x(at), long = Math.max(0.75, x(end) - begin);
    c.fillStyle = colours.rest; c.globalAlpha = 0.6; c.fillRect(begin, y + height - tall, long, tall); c.globalAlpha = 1;
    hits.push([begin, y, long, height, `at most ${value} of ${limit} connections`]);
  });
  c.fillStyle = colours[top === limit ? "bad" : "line"];
  c.fillRect(left, y, right - left, 1);
  c.fillStyle = colours.line;
  c.fillRect(left, y + height, right - left, 1);
  return top === limit ? `${top}, the limit` : `up to ${top} of ${limit}`;
}
