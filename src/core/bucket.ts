// A token bucket as an immutable value: a burst, then a steady rate. Limits the logins and failed calls of an exchange,
// and the requests to the token API. Pure: the caller passes the time in milliseconds.

export interface BucketLimit {
  readonly capacity: number;
  readonly refillPerMs: number;
}

/** `level` is negative after overspending: spend() never refuses. */
export interface Bucket {
  readonly level: number;
  readonly at: number;
}

export const fullBucket = ({ capacity }: BucketLimit, now: number): Bucket => ({ level: capacity, at: now });

/** Returns the bucket refilled up to `now`. A clock that goes backwards refills nothing. */
export function refilled(bucket: Bucket, { capacity, refillPerMs }: BucketLimit, now: number): Bucket {
  const elapsed = Math.max(0, now - bucket.at);
  return { level: Math.min(capacity, bucket.level + elapsed * refillPerMs), at: Math.max(now, bucket.at) };
}

export function spend(bucket: Bucket, limit: BucketLimit, { now, cost }: { now: number; cost: number }): Bucket {
  const { level, at } = refilled(bucket, limit, now);
  return { level: level - cost, at };
}

/** Returns the first instant at which the bucket holds `cost`. */
export function readyAt(bucket: Bucket, { refillPerMs }: BucketLimit, cost: number): number {
  return bucket.level >= cost ? bucket.at : bucket.at + Math.ceil((cost - bucket.level) / refillPerMs);
}
