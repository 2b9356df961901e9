// What a thread can be told to do with the segments of a file.
import { scanBlocks } from './block-segments.ts';
import { scanRecords } from './record-segments.ts';

export const WORKS = { records: scanRecords, blocks: scanBlocks };

export type Work = keyof typeof WORKS;
export type TaskOf<W extends Work> = Parameters<(typeof WORKS)[W]>[0];
export type ScanOf<W extends Work> = ReturnType<(typeof WORKS)[W]>;
