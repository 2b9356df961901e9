// Products that choose hosts by the name of a guest's model (KubeVirt, oVirt): a name that every host calls usable as it
// stands, or, where there is none, who will not be chosen.
import { isCovered, minus, type Row } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Stack } from '../../cpu/catalog/software.ts';
import type { Definition, Scheduled } from '../../cpu/definition.ts';
import { isFound, LISTERS } from '../../cpu/model-lists.ts';
import { findMachine } from '../../cpu/qemu/machine.ts';
import { closeDependencies, startOf } from '../../cpu/qemu/model.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import { modelLists } from './line.ts';
import type { Namer, Naming } from './x86-namer.ts';

/** libvirt asks QEMU about its models while it has no machine. */
const NO_MACHINE = 'none';

export class ByNameChoice {
  readonly #fleet: Fleet;
  readonly #namer: Namer;
  readonly #naming: Naming;
  readonly #qemus: Stack;
  readonly #needs = new Map<string, readonly Row[]>();

  constructor(fleet: Fleet, namer: Namer, naming: Omit<Naming, 'lists'>) {
    this.#fleet = fleet;
    this.#namer = namer;
    this.#naming = { ...naming, lists: modelLists(fleet.classes) };
    this.#qemus = namer.software.filter((s) => s.product === 'qemu');
  }

  /**
   * The cheapest definition whose name every host calls usable as it stands, else the one given, and on which hosts its
   * name is not. `never`: names that the product finds nowhere.
   */
  choose(given: Definition, features: Row, never: ReadonlySet<string>): Scheduled {
    const classes = [...this.#fleet.classes.keys()];
    const found = (name: string, index: number) => !never.has(name) && this.#isUsable(name, index);
    const definition =
      this.#namer.define('libvirt', features, {
        ...this.#naming,
        keep: (name) => classes.every((index) => found(name, index)),
      }) ?? given;
    const without = this.#fleet.list(
      this.#fleet.membersOf((index) => !found(definition.name, index)),
    );
    return { definition, without };
  }

  #isUsable(name: string, index: number): boolean {
    const { models } = this.#fleet.classes[index]!;
    const lists = LISTERS.flatMap((lister) => models[lister] ?? []);
    if (lists.length > 0) return lists.every((list) => isFound(list, name));
    const offered = this.#fleet.narrow(this.#fleet.has(index));
    return this.#needsOf(name).every((needs) => isCovered(needs, offered));
  }

  /** What each QEMU of the stack holds the plain name against a host for. */
  #needsOf(name: string): readonly Row[] {
    const { catalog } = this.#fleet;
    const known = this.#needs.get(name);
    const needs = known ?? this.#qemus.map(({ version }) => plainNeeds(catalog, name, version));
    this.#needs.set(name, needs);
    return needs;
  }
}

function plainNeeds(catalog: Catalog, name: string, qemu: string): Row {
  const machine = findMachine(catalog, NO_MACHINE, qemu);
  const { features } = startOf(catalog, name, machine, qemu, 'kvm');
  // What nested guests would need is not asked for, nor what KVM makes up or the guest's topology sets.
  const out = catalog.rowWhere((f) => f.isKvm || f.merge === 'never' || f.name === 'vmx');
  return closeDependencies(catalog, minus(features, out));
}
