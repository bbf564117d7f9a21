/** Where a task may go. The words are those of Kubernetes; what is absent constrains nothing. */
export interface Constraints {
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** ORed terms, each an AND of expressions; an empty list constrains nothing, a term without expressions matches nothing. */
  readonly nodeAffinity?: readonly NodeTerm[];
  readonly tolerations?: readonly Toleration[];
  readonly spread?: readonly Spread[];
}

export interface NodeTerm {
  readonly matchExpressions: readonly Expression[];
}

export interface Expression {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  readonly values?: readonly string[];
}

export interface Toleration {
  readonly key?: string;
  readonly operator?: "Exists" | "Equal";
  readonly value?: string;
  readonly effect?: string;
}

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

/** At most `maxSkew` more live instances in a domain (a value of the label `topologyKey`) than in the emptiest one. */
export interface Spread {
  readonly topologyKey: string;
  readonly maxSkew: number;
  /** Whose instances count: those of the Task alone, or all of its framework that name the same key. */
  readonly over: "Task" | "Framework";
}

type Labels = Readonly<Record<string, string>>;

/** Do these labels satisfy selector and affinity? Rules as in Kubernetes' requiredDuringSchedulingIgnoredDuringExecution. */
export function matchesLabels(constraints: Constraints, labels: Labels): boolean {
  for (const [key, value] of Object.entries(constraints.nodeSelector ?? {})) {
    if (label(labels, key) !== value) return false;
  }
  const terms = constraints.nodeAffinity;
  if (terms === undefined || terms.length === 0) return true;
  return terms.some(
    (term) => term.matchExpressions.length > 0 && term.matchExpressions.every((e) => matchesExpression(e, labels)),
  );
}

function label(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

function matchesExpression({ key, operator, values = [] }: Expression, labels: Labels): boolean {
  const value = label(labels, key);
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && isInteger(value) && isInteger(values[0]) && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && isInteger(value) && isInteger(values[0]) && Number(value) < Number(values[0]);
  }
}

function isInteger(text: string | undefined): text is string {
  return text !== undefined && /^-?\d{1,18}$/.test(text);
}

/** The first taint that keeps a pod with these tolerations away (NoSchedule, NoExecute), or undefined. */
export function untoleratedTaint(tolerations: readonly Toleration[], taints: readonly Taint[]): Taint | undefined {
  return taints.find(
    (taint) => taint.effect !== "PreferNoSchedule" && !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
}

function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect !== undefined && toleration.effect !== "" && toleration.effect !== taint.effect) return false;
  const exists = toleration.operator === "Exists";
  if (toleration.key === undefined || toleration.key === "") return exists;
  if (toleration.key !== taint.key) return false;
  return exists || (toleration.value ?? "") === (taint.value ?? "");
}

/** Both must hold. Affinity terms multiply out: (a or b) and (c or d) = ac or ad or bc or bd. */
export function both(a: Constraints | undefined, b: Constraints | undefined): Constraints {
  if (a === undefined || b === undefined) return a ?? b ?? {};
  const conflict = Object.entries(b.nodeSelector ?? {}).some(
    ([key, value]) => (label(a.nodeSelector ?? {}, key) ?? value) !== value,
  );
  const [left, right] = [a.nodeAffinity ?? [], b.nodeAffinity ?? []];
  const crossed =
    left.length === 0 || right.length === 0
      ? [...left, ...right]
      : left.flatMap((x) => right.map((y) => ({ matchExpressions: [...x.matchExpressions, ...y.matchExpressions] })));
  return {
    nodeSelector: { ...a.nodeSelector, ...b.nodeSelector },
    // Two selectors that contradict each other match no node: say so in a way that every reader of terms understands.
    nodeAffinity: conflict ? [{ matchExpressions: [] }] : crossed,
    tolerations: [...(a.tolerations ?? []), ...(b.tolerations ?? [])],
    spread: [...(a.spread ?? []), ...(b.spread ?? [])],
  };
}

/** Label keys that selector, affinity or spread look at. */
export function labelKeys(constraints: Constraints): string[] {
  return [
    ...Object.keys(constraints.nodeSelector ?? {}),
    ...(constraints.nodeAffinity ?? []).flatMap((term) => term.matchExpressions.map((e) => e.key)),
    ...(constraints.spread ?? []).map((s) => s.topologyKey),
  ];
}
