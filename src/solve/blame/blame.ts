// plimsoll blame: which hosts hold the line down, what is gained without them, and whether they can be mended.
import { emptyRow, hasBit, isCovered, minus, type Row, rowOf, size } from '../../core/rows.ts';
import { stackNames } from '../../cpu/catalog/software.ts';
import { didYouMean } from '../../cpu/catalog/suggest.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import type { Blame, BlameGroup, BlameSide, FeatureMatrix, Want } from '../answer-plan.ts';
import {
  Board,
  type Side,
  securityCost,
  sharedStack,
  sideFindings,
  sidesOf,
} from '../line/board.ts';
import type { BaselineOptions } from '../line/line.ts';
import { byWeight } from '../line/sayer.ts';
import { splitByXsave } from '../line/split.ts';
import { frontier } from './frontier.ts';
import { Remedies } from './remedy.ts';

export interface BlameOptions extends BaselineOptions {
  /** Features that are wanted back, by any spelling. */
  readonly want?: readonly string[] | undefined;
}

/** Hosts of a matrix that still fits a screen. */
const MATRIX_HOSTS = 24;

/**
 * Who costs what. Hosts of several architectures or vendors are answered side by side.
 * @throws QueryError for a wanted feature that is unknown, or that no guest is given.
 */
export function blame(fleet: Fleet, options: BlameOptions = {}): Blame {
  const stack = sharedStack(fleet, options);
  const sides = sidesOf(fleet).flatMap((side) => byLayout(side, { ...options, stack }));
  const boards = sides.map((side) => new Board(side.fleet, { ...options, stack }));
  const wanted = readWanted(fleet, boards, options.want ?? []);
  const remedies = new Remedies(fleet);
  const answers = boards.map((board) => blameSide(board, remedies, wanted));
  const head = { schema: 'plimsoll.blame/1', stack: stackNames(stack) } as const;
  const tail = {
    findings: [...fleet.left, ...remedies.drift(boards), ...sideFindings(sides)].sort(byWeight),
    ...(fleet.skipped.length > 0 ? { skipped: fleet.skipped } : {}),
  };
  if (answers.length === 1) return { ...head, ...answers[0]!, ...tail };
  return {
    ...head,
    hosts: fleet.hosts,
    sides: answers.map((answer, i) => ({
      because: sides[i]!.because!,
      value: sides[i]!.value,
      ...answer,
    })),
    ...tail,
  };
}

/** Hosts that lay out the state of the features that they share differently have no CPU in common either. */
function byLayout(side: Side, options: BaselineOptions): Side[] {
  const split = splitByXsave(side.fleet, new Board(side.fleet, options).features);
  if (split === null) return [side];
  return split.sides.map(({ value, members }) => ({
    because: split.because,
    value: [side.value, value].filter((v) => v !== null).join(' '),
    fleet: side.fleet.subset(members),
  }));
}

/** Whether the hosts hold each other down within one line, and what was wanted can be had. */
export const isBlameAnswered = (answer: Blame): boolean =>
  answer.sides === undefined && answer.want?.possible !== false;

function blameSide(board: Board, remedies: Remedies, wanted: readonly string[]): BlameSide {
  const { fleet, features } = board;
  const none = emptyRow(fleet.classes.length);
  const base = size(features);
  const points = frontier(
    board.columns,
    fleet.classes.length,
    (classes) => board.weigh(classes),
    fleet.hosts,
  );
  return {
    hosts: fleet.hosts,
    features: base,
    model: board.modelWithout(none, features),
    groups: groupsOf(board, remedies),
    frontier: points.map(({ gone, weight, gained, exact }) => ({
      without: weight,
      features: base + gained,
      hosts: fleet.list(fleet.membersOf((i) => hasBit(gone, i))).hosts,
      exact,
    })),
    ...(wanted.length > 0 ? { want: wantOf(board, wanted) } : {}),
    security: securityCost(fleet.catalog, features, board.rows),
    ...(fleet.hosts <= MATRIX_HOSTS ? { matrix: matrixOf(board) } : {}),
  };
}

function groupsOf(board: Board, remedies: Remedies): BlameGroup[] {
  const { fleet, features, columns } = board;
  return columns
    .map((column) => {
      const gained = columns.filter((c) => isCovered(c.lackers, column.lackers));
      const ids = gained.flatMap((c) => c.features);
      const then = board.featuresWithout(column.lackers);
      return {
        ...fleet.list(fleet.membersOf((i) => hasBit(column.lackers, i))),
        gains: fleet.catalog.names(minus(then, features)),
        model: board.modelWithout(column.lackers, then),
        ...remedies.of(board, column.classes, ids),
      };
    })
    .sort(
      (a, b) =>
        b.gains.length - a.gains.length ||
        a.count - b.count ||
        byBytes(a.hosts[0] ?? '', b.hosts[0] ?? '') ||
        byBytes(a.gains.join(), b.gains.join()),
    );
}

/** Wanted features by their own names; guests must be able to have each of them on some host. */
function readWanted(fleet: Fleet, boards: readonly Board[], names: readonly string[]): string[] {
  const { catalog } = fleet;
  const problems: string[] = [];
  const found = names.flatMap((name) => {
    const of = boards.flatMap((board) => {
      const feature = board.fleet.catalog.find(name);
      return feature ? [{ board, feature }] : [];
    });
    if (of.length === 0) {
      const known = catalog.features.map((f) => f.name);
      problems.push(
        `--want "${name}" is no feature that is known${didYouMean(name, known) || '; plimsoll features lists them'}`,
      );
      return [];
    }
    const { feature } = of[0]!;
    if (of.every((o) => hasBit(o.board.line.outside.all, o.feature.id)))
      problems.push(
        `--want ${feature.name} is a feature that no answer counts (${feature.why}), so no host holds it back`,
      );
    return [feature.name];
  });
  if (problems.length > 0) throw new QueryError(problems.join('\n'));
  return [...new Set(found)].sort(byBytes);
}

/** Every host that does not offer one of them: without a smaller set somebody would still hold it back. */
function wantOf(board: Board, names: readonly string[]): Want {
  const { fleet, rows, features } = board;
  const ids = names.map((name) => fleet.catalog.find(name)?.id);
  const hasAll = (row: Row) => ids.every((id) => id !== undefined && hasBit(row, id));
  const classes = [...rows.keys()].filter((i) => !hasAll(rows[i]!));
  const lackers = rowOf(rows.length, classes);
  const list = fleet.list(fleet.membersOf((i) => hasBit(lackers, i)));
  if (classes.length === rows.length)
    return { wanted: names, ...list, possible: false, gains: [], model: null };
  const then = board.featuresWithout(lackers);
  return {
    wanted: names,
    ...list,
    possible: true,
    gains: fleet.catalog.names(minus(then, features)),
    model: board.modelWithout(lackers, then),
  };
}

function matrixOf(board: Board): FeatureMatrix {
  const { fleet, rows, columns } = board;
  const members = [...fleet.members.keys()].sort((a, b) =>
    byBytes(fleet.members[a]!.id, fleet.members[b]!.id),
  );
  const cell = (id: number) => (member: number) => {
    const index = fleet.members[member]!.class;
    if (hasBit(rows[index]!, id)) return true;
    return hasBit(fleet.known(index), id) ? false : null;
  };
  const ids = columns
    .flatMap((c) => c.features.map((id) => ({ id, weight: c.weight })))
    .sort(
      (a, b) => b.weight - a.weight || byBytes(fleet.featureName(a.id), fleet.featureName(b.id)),
    );
  return {
    hosts: members.map((i) => fleet.members[i]!.id),
    rows: ids.map(({ id }) => ({ feature: fleet.featureName(id), has: members.map(cell(id)) })),
  };
}
