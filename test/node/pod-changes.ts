// Changes of the example's pod: another config, another sidecar, another application.

import type { Container, Pod, ProjectedToken } from '../deploy/kubernetes-objects.ts';
import type { StoredPod } from './cluster.ts';
import type { Change } from './example.ts';
import type { Here } from './example-pod.ts';

export type PodChange = (pod: Pod) => Pod;

/** Changes the pod's sidecar. */
export const withSidecar =
  (change: Partial<Container>): PodChange =>
  (pod) => {
    const [sidecar, ...others] = pod.spec.initContainers ?? [];
    return { ...pod, spec: { ...pod.spec, initContainers: [{ ...(sidecar as Container), ...change }, ...others] } };
  };

/** Changes the pod's application. */
export const withApp =
  (change: Partial<Container>): PodChange =>
  (pod) => {
    const [app, ...others] = pod.spec.containers;
    return { ...pod, spec: { ...pod.spec, containers: [{ ...(app as Container), ...change }, ...others] } };
  };

/** Lets a test read how the containers of a deleted pod ended. */
export const kept: PodChange = (pod) => ({ ...pod, metadata: { ...pod.metadata, finalizers: ['test/look'] } });

/** Replaces the pod's JWTs. */
export const withJwts =
  (...tokens: readonly ProjectedToken[]): PodChange =>
  ({ spec: { volumes = [], ...spec }, ...pod }) => {
    const projected = { sources: tokens.map((serviceAccountToken) => ({ serviceAccountToken })) };
    const changed = volumes.map((one) => (one.projected === undefined ? one : { ...one, projected }));
    return { ...pod, spec: { ...spec, volumes: changed } };
  };

const withConfigMap =
  (name: string): PodChange =>
  (pod) => {
    const volumes = pod.spec.volumes?.map((one) =>
      one.configMap === undefined ? one : { ...one, configMap: { name } },
    );
    return { ...pod, spec: { ...pod.spec, ...(volumes && { volumes }) } };
  };

/** Creates a pod with a ConfigMap of its own, both called `name`. */
export async function createConfigured(
  { cluster, config }: Here,
  name: string,
  change: Change,
  ...podChanges: readonly PodChange[]
): Promise<StoredPod> {
  await cluster.ask('POST', CONFIG_MAPS, { metadata: { name }, data: config(change) });
  return cluster.create(name, (pod) => podChanges.reduce((pod, change) => change(pod), withConfigMap(name)(pod)));
}

export const CONFIG_MAPS = '/api/v1/namespaces/my-app/configmaps';
