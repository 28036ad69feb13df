// Decides events anew, by the same rule as dsanet_cli/timeline/timeline.py: a test compares both on random curves.

/** Seconds; times closer than this are the same. */
const TIME_STEP = 1e-3;

/**
 * Turns a score curve into events.
 *
 * @param curve starts and ends (seconds), scores (float32) and probabilities (float32, row by row), and the names of the
 *     classes, the normal one first.
 * @param rule threshold, release, merge_gap, min_length and drop.
 * @returns events in order of time, with start, end, peak_time, peak_score, label and probabilities.
 */
function findEvents(curve, rule) {
  const { starts, ends } = curve;
  const events = [];
  for (const [first, last] of mergedRuns(curve, rule)) {
    if (ends[last] - starts[first] > rule.min_length - TIME_STEP) {
      const event = describeEvent(curve, first, last);
      if (!rule.drop.includes(event.label)) events.push(event);
    }
  }
  return events;
}

/** Runs that reach the threshold, those closer than the merge gap as one: [first, last] snippet of each. */
function mergedRuns({ starts, ends, scores }, rule) {
  // Scores are float32, and compared as such.
  const threshold = Math.fround(rule.threshold);
  const release = Math.fround(Math.min(rule.release, rule.threshold));
  const gap = Math.max(rule.merge_gap, TIME_STEP);
  const runs = [];
  let first = -1;
  let reached = false;
  const close = (last) => {
    if (first >= 0 && reached) {
      const before = runs.at(-1);
      if (before && !(starts[first] - ends[before[1]] > rule.merge_gap - TIME_STEP)) before[1] = last;
      else runs.push([first, last]);
    }
    first = -1;
    reached = false;
  };
  for (let i = 0; i < scores.length; i++) {
    if (!(scores[i] >= release)) {
      close(i - 1);
      continue;
    }
    if (first >= 0 && !(starts[i] - ends[i - 1] < gap)) close(i - 1);
    if (first < 0) first = i;
    reached ||= scores[i] >= threshold;
  }
  close(scores.length - 1);
  return runs;
}

/** The event from one snippet to another: its peak, and the mean of its probabilities weighted by score. */
function describeEvent({ starts, ends, scores, probabilities, classes }, first, last) {
  const count = classes.length;
  const sums = new Float64Array(count);
  let peak = first;
  let weighted = false;
  for (let i = first; i <= last; i++) {
    if (scores[i] > scores[peak]) peak = i;
    weighted ||= scores[i] !== 0;
  }
  for (let i = first; i <= last; i++) {
    const weight = weighted ? scores[i] : 1; // all are 0 with a threshold of 0 only
    for (let c = 0; c < count; c++) sums[c] += weight * probabilities[i * count + c];
  }
  const total = sums.reduce((sum, value) => sum + value, 0);
  const shares = Array.from(sums, (value) => value / total);
  let likeliest = 1;
  for (let c = 2; c < count; c++) if (shares[c] > shares[likeliest]) likeliest = c;
  return {
    start: starts[first],
    end: ends[last],
    peak_time: (starts[peak] + ends[peak]) / 2,
    peak_score: scores[peak],
    label: classes[likeliest],
    probabilities: shares,
  };
}
