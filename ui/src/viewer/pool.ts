/*
 * At most four requests for pixels at a time: a browser opens six connections to one server, one of them
 * is the event stream, one stays free for the rest of the page. The most wanted goes first.
 */
export const CONNECTIONS_MAX = 4;

interface Job {
  priority: number; /* the least first */
  order: number;
  run: () => Promise<void>;
  dropped: boolean;
}

export class Pool {
  private waiting: Job[] = [];
  private running = 0;
  private order = 0;

  constructor(private readonly width: number) {}

  /* Runs `work` when its turn comes; drop() forgets it if it has not begun. */
  add(priority: number, work: () => Promise<void>): { drop: () => void; hurry: (priority: number) => void } {
    const job: Job = { priority, order: this.order++, run: work, dropped: false };
    this.waiting.push(job);
    this.next();
    return {
      drop: () => {
        job.dropped = true;
      },
      hurry: (wanted) => {
        job.priority = wanted;
      },
    };
  }

  private next(): void {
    while (this.running < this.width) {
      this.waiting = this.waiting.filter((job) => !job.dropped);
      let best: Job | undefined;
      for (const job of this.waiting)
        if (!best || job.priority < best.priority || (job.priority === best.priority && job.order < best.order)) best = job;
      if (!best) return;
      const job = best;
      this.waiting = this.waiting.filter((other) => other !== job);
      this.running += 1;
      void job.run().catch(() => undefined).finally(() => {
        this.running -= 1;
        this.next();
      });
    }
  }
}

export const pixelPool = new Pool(CONNECTIONS_MAX);
