// virsh hypervisor-cpu-models and cpu-models: names of CPU models, one a line. The first lists what is usable on a host.
import { QueryError } from '../../cpu/errors.ts';
import { withUsable } from '../../cpu/proven/by-models.ts';
import type { Dialect } from '../dialect.ts';
import { linesOf, quote } from '../text/lines.ts';
import { untold } from '../words/blank-description.ts';
import { inferVendor } from '../words/vendor-from-features.ts';

/** Names that every libvirt lists. */
const USUAL = /^(?:qemu64|kvm64|qemu32|Conroe|Penryn|Nehalem|Westmere|SandyBridge|Opteron_G1)$/m;

export const cpuModels: Dialect = {
  name: 'cpu-models',
  recognises: (head) =>
    USUAL.test(head) && head.split('\n').every((line) => /^[\w.-]*$/.test(line.trim())),
  proves: [
    {
      document: 'hypervisor-cpu-models',
      view: 'hypervisor',
      words: 'models',
      unlisted: 'unknown',
    },
  ],
  read(input, catalog) {
    const names: string[] = [];
    for (const { number, text } of linesOf(input)) {
      const name = text.trim();
      if (name === '') continue;
      if (!/^[\w.-]+$/.test(name))
        throw new QueryError(
          `${input.name}:${number}: ${quote(name)} is no name of a CPU model; give what virsh hypervisor-cpu-models prints`,
        );
      names.push(name);
    }
    const listed = withUsable(catalog, {
      ...untold(catalog, 'cpu-models', 1),
      models: new Map(names.map((name) => [name, []])),
    });
    const maker = inferVendor(catalog, listed.has);
    return [
      {
        ...listed,
        vendor: maker.vendor,
        notes: [
          ...maker.notes,
          {
            code: 'names-only',
            message:
              'a list of usable models proves the features of these models and says nothing of any other; give virsh domcapabilities of the host beside it (virsh cpu-models lists all that libvirt knows and says nothing of a host)',
          },
        ],
      },
    ];
  },
};
