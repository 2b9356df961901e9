// Records by what they have in common. A record is passages of text with holes between them: the host's name, the
// list, the plain values that do not count. Passages that follow each other in some record are a tree, and what goes
// through it to an end is read as that record was: equal text is read alike, and the holes are looked at each time.
//
//   {"host":" · name · ","features": · list ·┬ ,"limits":{"physBits":46},"rack": · value · }  → kind
//                                           └ ,"limits":{"physBits":40},"rack": · value · }  → kind
import { OPEN_LIST, scalar } from './json';
import {
  FIRST_PASSAGE,
  FOLLOWING_AT,
  HOLE_ENTRY,
  HOLES,
  HOLES_AT,
  ID_AT,
  ID_SIZE,
  KEY_AT,
  MAX_HOLES,
  MAX_PASSAGES,
  MAX_ROWS,
  NONE,
  PASSAGE_BYTES,
  PASSAGE_ENTRY,
  PASSAGE_ROOM,
  PASSAGE_TEXT_AT,
  PASSAGES,
  PASSAGES_AT,
  SLOT,
} from './kinds';
import { list } from './lists';
import { hostName, isUuid } from './names';
import { BLOCK, isSame } from './text';

// What is in a hole.
export const HOLE_NAME: u32 = 1;
export const HOLE_LIST: u32 = 2;
export const HOLE_VALUE: u32 = 3;
/** No hole: the record's end. */
const END: u32 = 4;

// A hole of the record at hand: what is in it, where it begins and ends.
const HOLE_FROM: usize = 4;
const HOLE_TO: usize = 8;

// A passage: its text, the hole behind it, another in its place, and the first that may follow; behind the end of a
// record, where its kind's number is. What follows a list is found by the list's row, and says after which passage.
const TEXT: usize = 0;
const SIZE: usize = 4;
const HOLE: usize = 8;
const OTHER_ONE: usize = 12;
const NEXT: usize = 16;
const AFTER: usize = 20;

/** Of more passages in one place only those that came last are tried. */
const MAX_TRIES: u32 = 8;

/** Begins the holes of a record. */
export function startHoles(state: usize): void {
  store<u32>(state, 0, HOLES);
}

/** A hole of the record; with no room for it, or none that others could share, the record is not learnt. */
export function hole(state: usize, what: u32, from: usize, to: usize): void {
  const n = load<u32>(state, HOLES);
  if (n >= MAX_HOLES) return;
  const at = state + HOLES_AT + <usize>n * HOLE_ENTRY;
  store<u32>(at, what);
  store<u32>(at, <u32>from, HOLE_FROM);
  store<u32>(at, <u32>to, HOLE_TO);
  store<u32>(state, n + 1, HOLES);
}

/** Keeps the record at hand from being learnt. */
export function leaveUnlearnt(state: usize): void {
  store<u32>(state, MAX_HOLES, HOLES);
}

/** A line, if it goes through the passages of lines before: where the next begins, or 0; SLOT and ID_AT are its. */
export function follow(state: usize, p: usize): usize {
  store<u32>(state, 0, ID_SIZE);
  let head = state + FIRST_PASSAGE;
  let after: usize = 0;
  while (true) {
    const passage = passageAt(head, after, p, 0);
    if (passage === 0) return 0;
    p += <usize>load<u32>(passage, SIZE);
    head = passage + NEXT;
    after = 0;
    const what = load<u32>(passage, HOLE);
    if (what === END) {
      store<u32>(state, load<u32>(passage, NEXT), SLOT);
      return p;
    }
    const from = p;
    if (what === HOLE_NAME) {
      p = hostName(state, from);
      if (p === 0 || isUuid(from, p - from)) return 0;
      store<u32>(state, <u32>from, ID_AT);
      store<u32>(state, <u32>(p - from), ID_SIZE);
    } else if (what === HOLE_LIST) {
      p = load<u8>(from) === OPEN_LIST ? list(state, from) : 0;
      const row = load<u32>(state + KEY_AT);
      if (p === 0 || row === NONE) return 0;
      head = following(state, row);
      after = passage;
    } else {
      p = scalar(from);
      if (p === 0) return 0;
    }
  }
}

/** Where the first passage is told that may follow a list of this row. */
function following(state: usize, row: u32): usize {
  return state + FOLLOWING_AT + ((<usize>row) << 2);
}

/** The passage that is the text at `p`, and of this size where one is given; or 0. */
function passageAt(head: usize, after: usize, p: usize, size: usize): usize {
  let passage = <usize>load<u32>(head);
  for (let tries = MAX_TRIES; passage !== 0 && tries > 0; tries--) {
    const own = <usize>load<u32>(passage, SIZE);
    if (
      <usize>load<u32>(passage, AFTER) === after &&
      (size === 0 || size === own) &&
      isSame(load<u32>(passage, TEXT), p, own)
    )
      return passage;
    passage = <usize>load<u32>(passage, OTHER_ONE);
  }
  return 0;
}

/** Learns the line at hand, up to where the next begins, whose kind's number is at SLOT. */
export function learn(state: usize, p: usize, end: usize): void {
  const holes = load<u32>(state, HOLES);
  if (holes >= MAX_HOLES) return;
  let head = state + FIRST_PASSAGE;
  let after: usize = 0;
  for (let i: u32 = 0; i <= holes; i++) {
    const at = state + HOLES_AT + <usize>i * HOLE_ENTRY;
    const what = i === holes ? END : load<u32>(at);
    const size = (i === holes ? end : <usize>load<u32>(at, HOLE_FROM)) - p;
    let passage = passageAt(head, after, p, size);
    if (passage === 0) {
      passage = added(state, p, size);
      if (passage === 0) return;
      store<u32>(passage, what, HOLE);
      store<u32>(passage, <u32>after, AFTER);
      store<u32>(passage, what === END ? load<u32>(state, SLOT) : 0, NEXT);
      store<u32>(passage, load<u32>(head), OTHER_ONE);
      store<u32>(head, <u32>passage);
    }
    p = load<u32>(at, HOLE_TO);
    after = what === HOLE_LIST ? passage : 0;
    head = after === 0 ? passage + NEXT : following(state, load<u32>(state + KEY_AT));
  }
}

/** A new passage with its text; 0, and all are forgotten, where no more fit. */
function added(state: usize, p: usize, size: usize): usize {
  const n = load<u32>(state, PASSAGES);
  const used = <usize>load<u32>(state, PASSAGE_BYTES);
  const room = (size + BLOCK - 1) & ~(BLOCK - 1);
  if (n === MAX_PASSAGES || used + room > PASSAGE_ROOM) {
    memory.fill(state + FOLLOWING_AT, 0, 4 * <usize>MAX_ROWS);
    store<u32>(state, 0, FIRST_PASSAGE);
    store<u32>(state, 0, PASSAGES);
    store<u32>(state, 0, PASSAGE_BYTES);
    return 0;
  }
  const at = state + PASSAGE_TEXT_AT + used;
  memory.copy(at, p, size);
  const passage = state + PASSAGES_AT + <usize>n * PASSAGE_ENTRY;
  store<u32>(passage, <u32>at, TEXT);
  store<u32>(passage, <u32>size, SIZE);
  store<u32>(state, n + 1, PASSAGES);
  store<u32>(state, <u32>(used + room), PASSAGE_BYTES);
  return passage;
}
