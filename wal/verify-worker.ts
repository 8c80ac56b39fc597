/** A lane of verify-lanes.ts in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { type LaneWork, runLane } from './verify-lanes.js';

await runLane(workerData as LaneWork, message => parentPort!.postMessage(message));
