// A token bucket as a value: so much at once, then a steady trickle. Bounds what an exchange may spend on failed calls,
// and what the token API answers in a second. Pure: the caller brings the time (milliseconds).

export interface BucketLimit {
  readonly capacity: number;
  readonly refillPerMs: number;
}

/** `level` may be below 0: what was spent beyond it is owed. */
export interface Bucket {
  readonly level: number;
  readonly at: number;
}

export const fullBucket = ({ capacity }: BucketLimit, now: number): Bucket => ({ level: capacity, at: now });

/** The bucket as it stands at `now`; a clock that went back refills nothing. */
export function refilled(bucket: Bucket, { capacity, refillPerMs }: BucketLimit, now: number): Bucket {
  const elapsed = Math.max(0, now - bucket.at);
  return { level: Math.min(capacity, bucket.level + elapsed * refillPerMs), at: Math.max(now, bucket.at) };
}

export function spend(bucket: Bucket, limit: BucketLimit, { now, cost }: { now: number; cost: number }): Bucket {
  const { level, at } = refilled(bucket, limit, now);
  return { level: level - cost, at };
}

/** The first instant at which the bucket holds `cost`. */
export function readyAt(bucket: Bucket, { refillPerMs }: BucketLimit, cost: number): number {
  return bucket.level >= cost ? bucket.at : bucket.at + Math.ceil((cost - bucket.level) / refillPerMs);
}
