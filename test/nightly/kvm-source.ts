// The reader of KVM's source on kernels of Debian, against the table; and what changed since the last kernel of it.
// usage: node kvm-source.js FOLDER... (source trees)
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { learnKvm } from '../../src/dialects/kvm-source/kvm-source.ts';
import { columnOf, heldAgainst } from '../support/kvm-column.ts';

/** Features read right of 407, of a kernel that is in the table: others are registers, or conditional. */
const RIGHT = { Intel: 306, AMD: 400 } as const;

const { kvm } = await loadCatalog();
const folders = process.argv.slice(2);
assert.ok(folders.length > 0, 'no source tree was given');
for (const folder of folders) {
  const read = (path: string) => {
    const file = join(folder, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : null;
  };
  const catalog = await loadCatalog();
  const learnt = learnKvm(catalog, read);
  const series = learnt.kernel.split('.').slice(0, 2).join('.');
  const same = kvm.kernels.findLast((k) => k === series || k.startsWith(`${series}.`));
  const against = same ?? kvm.kernels.at(-1)!;
  for (const vendor of ['Intel', 'AMD'] as const) {
    const column = columnOf(kvm, vendor, against);
    const { right, differing, unread } = heldAgainst(learnt, vendor, column);
    const of = `of ${column.size}, ${differing.length} otherwise, ${unread} not read`;
    console.log(`${learnt.kernel} on ${vendor}, against ${against}: ${right} right ${of}`);
    for (const line of differing) console.log(`  ${line}`);
    if (against === learnt.kernel) assert.equal(differing, [], `${against} on ${vendor}`);
    if (same) assert.ok(right >= RIGHT[vendor], `${right} read right of ${against} on ${vendor}`);
  }
}
