// The entries of the list of events: what the program found, and what a person added.

/** The button that shows an event in the list and goes to it. */
function jumpButton(page, event, number) {
  const { picture } = event;
  const image = picture ? make("img", { src: picture.src, alt: "" }) : make("span", { className: "blank" });
  const jump = make("button", { type: "button", className: "jump" }, image,
    make("span", { className: "facts" },
      make("span", { className: "label" }),
      make("span", { className: "was" }),
      make("span", { className: "when", textContent: spanOf(event) }),
      make("span", { className: "score", textContent: event.peak_score.toFixed(2), title: "highest score" }),
      make("span", { className: "day", textContent: page.day(event.start) })));
  jump.addEventListener("click", () => page.go(number));
  return jump;
}

/** The choice of a class; `more` are classes that the model does not have. */
function classChoice(page, name, more) {
  const kind = make("select", { "aria-label": name });
  for (const one of new Set([...page.data.classes.slice(1), ...more])) kind.append(make("option", { value: one, textContent: one }));
  return kind;
}

function noteField(name, onNote) {
  const note = make("input", { type: "text", placeholder: "Note", maxLength: LONGEST_NOTE, "aria-label": name });
  note.addEventListener("change", () => onNote(note.value));
  return note;
}

function plainButton(text, className, onClick) {
  const button = make("button", { type: "button", className, textContent: text });
  button.addEventListener("click", onClick);
  return button;
}

function spanOf(event) {
  return `${clock(event.start, 1)} – ${clock(event.end, 1)}`;
}

/** An event that the program found, to be judged. */
function foundItem(page, event, number) {
  const jump = jumpButton(page, event, number);
  const said = saidOf(event, page.review.entries);
  const kind = classChoice(page, `Class of event ${number + 1}`, [event.label, said && trueLabel(said)].filter(Boolean));
  kind.addEventListener("change", () => page.relabel(number, kind.value));
  const note = noteField(`Note on event ${number + 1}`, (text) => page.say(number, { note: text }));
  const yes = plainButton("True", "judge true", () => page.judge(number, "true"));
  const no = plainButton("False", "judge false", () => page.judge(number, "false"));
  const element = make("li", { className: "event" }, jump,
    make("div", { className: "review", role: "group", "aria-label": `Review of event ${number + 1}, ${spanOf(event)}` }, yes, no, kind, note));
  return { element, jump, yes, no, kind, note };
}

/** An event that the program missed: where it begins and ends, its class, and a way to take it back. */
function missedItem(page, event, number) {
  const jump = jumpButton(page, event, number);
  const name = `missed event, ${spanOf(event)}`;
  const kind = classChoice(page, `Class of the ${name}`, [event.label]);
  kind.addEventListener("change", () => page.changeMissed(number, { label: kind.value }));
  const note = noteField(`Note on the ${name}`, (text) => page.changeMissed(number, { note: text }));
  const here = (end, text) => plainButton(text, "here", () => page.changeMissed(number, { [end]: page.player.time }));
  const remove = plainButton("Remove", "remove", () => page.removeMissed(number));
  const element = make("li", { className: "event" }, jump,
    make("div", { className: "review", role: "group", "aria-label": `The ${name}` }, here("start", "Start here"), here("end", "End here"), remove, kind, note));
  return { element, jump, kind, note };
}
