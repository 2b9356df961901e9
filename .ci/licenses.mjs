// Writes dist/LICENSES.txt: the licences of the packages whose code the bundles contain, by esbuild's own account.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const packages = new Set();
for (const meta of process.argv.slice(2))
  for (const input of Object.keys(JSON.parse(readFileSync(meta, 'utf8')).inputs)) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name) packages.add(name);
  }
const texts = [...packages].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'License'].find((f) =>
    existsSync(`${folder}/${f}`),
  );
  const text = file ? readFileSync(`${folder}/${file}`, 'utf8').trim() : `${license} license`;
  return `${name} ${version}\n\n${text}\n`;
});
writeFileSync('dist/LICENSES.txt', texts.join(`\n${'-'.repeat(72)}\n\n`));
