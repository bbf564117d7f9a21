import { z } from "zod";
import {
  amounts,
  constrained,
  int,
  label,
  list,
  listMap,
  listSet,
  map,
  type Resource,
  type ResourceDefinition,
  type Rule,
  ranges,
  subdomain,
  text,
  time,
} from "./common.ts";

const slice = z.object({
  name: label().describe("The slice's name within the offer."),
  node: subdomain().describe("The node."),
  nodeUID: text(64, 1).describe("The node's UID when the offer was made."),
  resources: amounts().describe("What is offered of the node."),
  labels: map(text(63), 64).optional().describe("Labels of the node, to choose by."),
});

const candidate = z.object({
  task: label().describe("The Task."),
  slice: label().describe("The slice, that is the node, on which the instances run."),
  indexes: ranges(4096).describe("The instances: `0-41,57`."),
});

/** What an inverse offer asks for. */
const inverse = z.object({
  queue: label().describe("The Queue that wants it back."),
  reason: z
    .enum(["Guarantee"])
    .describe("Why. `Guarantee`: that queue has less than its guarantee, and this one more."),
  each: amounts().describe("What must become free on one node, for one instance of that queue's to start there."),
  instances: int(1, 10_000).describe("How many such instances wait for it."),
  candidates: list(candidate, 256)
    .optional()
    .describe("What is taken at `expiresAt`, as things stand, unless something else is given back before."),
  message: text(1024).optional().describe("The same, for people."),
});

/** What the operator offers. It never changes. */
export const offerSpec = constrained(
  z.object({
    framework: label().describe("The Framework that it is offered to."),
    queue: label().describe("The Queue that is charged. Only its tasks may be launched."),
    concurrency: z
      .enum(["Exclusive", "Optimistic"])
      .describe("`Exclusive`: held until answered. `Optimistic`: shown to others as well."),
    slices: listMap(slice, ["name"], 64, 1).describe("Free capacity, one node each."),
    inverse: inverse
      .optional()
      .describe(
        "Present in an inverse offer: nothing is offered, but asked back. `slices` say what would become free where. Accept " +
          "names in `answer.release` which instances to end, of any of the framework's in this queue; after `expiresAt` the " +
          "operator chooses. What is ended runs again later, and that counts against no limit of retries.",
      ),
    summary: text(128).optional().describe("The slices in one line for people: `2 nodes: cpu 8, memory 32Gi`."),
    expiresAt: time().describe("When the offer ends unless it is answered."),
    answerers: listSet(text(256, 1), 16).describe("User names that may answer."),
    term: text(64, 1).describe("The leader's term that the offer was made in. Offers of earlier terms are void."),
  }),
  { cel: "self == oldSelf", message: "an offer never changes: answer it in `answer`, beside `spec`" },
);

const answerLaunch = z.object({
  task: label().describe("The Task, in the offer's namespace and of its framework."),
  slice: label().describe("The slice to launch on."),
  count: int(1, 10_000).describe("How many of the Task's pending instances."),
});

const released = z.object({
  task: label().describe("The Task, in the offer's namespace and of its framework."),
  indexes: ranges(4096).describe("Which of its instances: `0-41,57`."),
});

const filter = z.object({
  refuseSeconds: int(0, 604_800)
    .default(5)
    .describe("How long no offer of no more than this is wanted from these nodes. 0: no filter."),
});

/** The framework's one answer. */
export const offerAnswer = constrained(
  z.object({
    by: text(256, 1).describe("The user name of who answers: one of `spec.answerers`, and the writer's own."),
    decision: z
      .enum(["Accept", "Decline"])
      .describe("Whether tasks are launched. What is not used is free again at once."),
    launches: list(answerLaunch, 256).optional().describe("What to launch where, with `Accept`."),
    release: list(released, 256)
      .optional()
      .describe(
        "What to give back, with `Accept` of an inverse offer. It must make room for what that asks for; what is named and " +
          "not needed runs on.",
      ),
    filter: filter
      .optional()
      .describe("What not to offer again for a while: the rest of the slices. Absent: 5 seconds."),
    reason: text(256).optional().describe("Why, for people."),
  }),
  {
    cel: "self.decision == 'Accept' || !has(self.launches) || self.launches.size() == 0",
    message: "Decline launches nothing: leave out launches, or use Accept",
    at: ".launches",
    holds: ({ decision, launches }) => decision === "Accept" || (launches ?? []).length === 0,
  },
  {
    cel: "self.decision == 'Accept' || !has(self.release) || self.release.size() == 0",
    message: "Decline gives nothing back: leave out release, or use Accept",
    at: ".release",
    holds: ({ decision, release }) => decision === "Accept" || (release ?? []).length === 0,
  },
  {
    cel:
      "self.decision == 'Decline' || (has(self.launches) && self.launches.size() > 0) || " +
      "(has(self.release) && self.release.size() > 0)",
    message: "Accept needs launches, or release where capacity is asked back: to do nothing, use Decline",
    holds: ({ decision, launches, release }) =>
      decision === "Decline" || (launches ?? []).length > 0 || (release ?? []).length > 0,
  },
);

const launchOutcome = z.object({
  task: label().describe("The Task."),
  slice: label().describe("The slice."),
  indexes: ranges(32_768).describe("The instances that were launched; empty if none."),
  refused: z
    .object({
      reason: text(64, 1).describe("Why, as a refusal reason."),
      message: text(1024).describe("Why, for people."),
    })
    .optional()
    .describe("Why the launch, or what is missing from its count, was refused."),
});

const offerStatus = z.object({
  phase: z
    .enum(["Open", "Accepted", "Refused", "Declined", "Rescinded", "Expired"])
    .default("Open")
    .describe("What became of the offer. All but `Open` are final; ended offers are deleted after a minute."),
  launches: list(launchOutcome, 256).optional().describe("What became of each launch of the answer, in its order."),
  released: list(released, 256).optional().describe("What an inverse offer has ended, whoever chose it."),
  reason: text(64).optional().describe("Why the offer ended, as a refusal reason."),
  message: text(1024).optional().describe("Why the offer ended, for people."),
});

export type OfferSpec = z.infer<typeof offerSpec>;
export type OfferSlice = z.infer<typeof slice>;
export type OfferAnswer = z.infer<typeof offerAnswer>;
export type OfferAnswerInput = z.input<typeof offerAnswer>;
export type OfferStatus = z.infer<typeof offerStatus>;
export type OfferPhase = OfferStatus["phase"];
export type OfferInverse = z.infer<typeof inverse>;
export type LaunchOutcome = z.infer<typeof launchOutcome>;
export type Offer = Resource<"Offer", OfferSpec, OfferStatus> & { answer?: OfferAnswer };

const answerOnce: Rule<Offer> = {
  cel: "!has(oldSelf.answer) || (has(self.answer) && self.answer == oldSelf.answer)",
  message: "an offer is answered once; the answer cannot be changed or removed",
};

const answeredWhileOpen: Rule<Offer> = {
  cel: "has(oldSelf.answer) || !has(self.answer) || !has(self.status) || self.status.phase == 'Open'",
  message: "the offer has ended: answer one whose status.phase is Open",
};

const knownSlices: Rule<Offer> = {
  cel:
    "!has(self.answer) || !has(self.answer.launches) || " +
    "self.answer.launches.all(l, self.spec.slices.exists(s, s.name == l.slice))",
  message: "answer.launches names a slice that is not in spec.slices",
  holds: ({ answer, spec }) =>
    (answer?.launches ?? []).every((launch) => spec.slices.some(({ name }) => name === launch.slice)),
};

const releasesWhatIsAskedBack: Rule<Offer> = {
  cel: "!has(self.answer) || !has(self.answer.release) || has(self.spec.inverse)",
  message: "this offer asks nothing back: accept it with answer.launches, not with release",
  holds: ({ answer, spec }) => answer?.release === undefined || spec.inverse !== undefined,
};

const launchesWhatIsOffered: Rule<Offer> = {
  cel: "!has(self.answer) || !has(self.answer.launches) || !has(self.spec.inverse)",
  message: "this offer asks capacity back and offers none: accept it with answer.release, not with launches",
  holds: ({ answer, spec }) => answer?.launches === undefined || spec.inverse === undefined,
};

/** The custom resource definition of Offer. */
export const offerDefinition: ResourceDefinition = {
  kind: "Offer",
  plural: "offers",
  singular: "offer",
  shortNames: ["pof"],
  scope: "Namespaced",
  description:
    "Free capacity, held for or shown to one Framework until a deadline; or, with `spec.inverse`, capacity that it is asked to " +
    "give back until then. The operator writes it; the framework's program answers it once, in `answer`. Deleting an offer " +
    "rescinds it; the deadline of an inverse offer stands all the same.",
  members: { spec: offerSpec, answer: offerAnswer.optional(), status: offerStatus.prefault({}) },
  nameIsLabel: false,
  rules: [answerOnce, answeredWhileOpen, knownSlices, releasesWhatIsAskedBack, launchesWhatIsOffered],
  selectableFields: [".spec.framework"],
  columns: [
    { name: "Framework", type: "string", jsonPath: ".spec.framework", description: "Whom it is offered to" },
    { name: "Queue", type: "string", jsonPath: ".spec.queue", description: "The queue that is charged" },
    { name: "Phase", type: "string", jsonPath: ".status.phase", description: "What became of it" },
    { name: "Slices", type: "string", jsonPath: ".spec.summary", description: "What is offered, or asked back" },
    {
      name: "Back for",
      type: "string",
      jsonPath: ".spec.inverse.queue",
      description: "The queue that wants it back, of an inverse offer",
    },
    { name: "Expires", type: "string", jsonPath: ".spec.expiresAt", description: "When it ends unless answered" },
    { name: "Reason", type: "string", jsonPath: ".status.reason", description: "Why it ended", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since creation" },
  ],
};
