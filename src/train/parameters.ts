// What is trained: initializers of a graph, and how each of them learns.

export interface Parameter {
  /** The initializer's name in the training graph; its element type is float32. */
  readonly name: string;
  /** Multiple of the learning rate; above 0. */
  readonly rate: number;
  /** Whether weight decay pulls it to 0: weights and tables do, biases, norms and steps do not. */
  readonly decay: boolean;
  /** After each update, values below this are set to it (steps of quantizers stay above 0). */
  readonly least?: number;
}
