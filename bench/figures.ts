/** One measured figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is to reach, for people: "≤ 0.2". */
  readonly target?: string;
  /** What it is held against: another system's figure, measured in the same run or published. */
  readonly reference?: number;
  /** value ÷ reference. */
  readonly ratio?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}
