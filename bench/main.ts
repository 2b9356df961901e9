// npm run bench -- QUESTION [options]: one file a question, each with the peers it is measured against.
const QUESTIONS: Record<string, () => Promise<{ bench(args: string[]): Promise<void> }>> = {
  ingest: () => import('./ingest.ts'),
  kernels: () => import('./kernels.ts'),
  libvirt: () => import('./libvirt.ts'),
  plan: () => import('./plan.ts'),
};

const [name = '', ...args] = process.argv.slice(2);
const question = QUESTIONS[name];
if (question === undefined) {
  console.error(
    `error: unknown benchmark "${name}"; there is ${Object.keys(QUESTIONS).join(', ')}`,
  );
  process.exitCode = 2;
} else await (await question()).bench(args);
