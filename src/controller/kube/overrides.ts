import type { Cluster, KubeConfig, User } from "@kubernetes/client-node";

/** What a command line says instead of the kubeconfig. */
export interface KubeconfigOverrides {
  /** Another entry of the kubeconfig's clusters, or users, than the context names. */
  readonly cluster?: string;
  readonly user?: string;
  /** Another address of the API server. */
  readonly server?: string;
  /** A bearer token instead of all other credentials. */
  readonly token?: string;
  /** A file with the authority of the API server's certificate. */
  readonly certificateAuthority?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** Whom to act as, where we may. */
  readonly as?: string;
}

/** The same configuration with what is overridden in its current context. One without any contexts gets one. */
export function overridden<Config extends KubeConfig>(kubeconfig: Config, overrides: KubeconfigOverrides): Config {
  const context = kubeconfig.getContextObject(kubeconfig.getCurrentContext());
  const named = {
    name: "overridden",
    cluster: overrides.cluster ?? context?.cluster ?? "overridden",
    user: overrides.user ?? context?.user ?? "overridden",
    ...(context?.namespace !== undefined && { namespace: context.namespace }),
  };
  const cluster = clusterWith(kubeconfig.getCluster(named.cluster), named.cluster, overrides);
  kubeconfig.loadFromOptions({
    clusters: cluster === undefined ? [] : [cluster],
    users: [userWith(kubeconfig.getUser(named.user), named.user, overrides)],
    contexts: [named],
    currentContext: named.name,
  });
  return kubeconfig;
}

function clusterWith(
  known: Cluster | null,
  name: string,
  { server, certificateAuthority, insecureSkipTlsVerify }: KubeconfigOverrides,
): Cluster | undefined {
  if (known === null && server === undefined) return undefined;
  const { caData, caFile, ...rest } = known ?? { name, skipTLSVerify: false };
  const authority = { ...(caData !== undefined && { caData }), ...(caFile !== undefined && { caFile }) };
  return {
    ...rest,
    name,
    server: server ?? known?.server ?? "",
    ...(certificateAuthority === undefined ? authority : { caFile: certificateAuthority }),
    ...(insecureSkipTlsVerify && { skipTLSVerify: true }),
  };
}

function userWith(known: User | null, name: string, { token, as }: KubeconfigOverrides): User {
  const user = token === undefined ? (known ?? { name }) : { name, token };
  return as === undefined ? user : { ...user, impersonateUser: as };
}
