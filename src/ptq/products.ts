// What the methods here ask of whoever has fast matrix products: loops in JavaScript are a hundred times slower than a runtime's.

/** Row-major float32 [rows, cols]; `values` may be a view of a larger array. */
export interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/** Float32 products. Results may depend on the machine, not on the run. */
export interface Products {
  /** a · b into `into` [a.rows, b.cols]. */
  multiply(a: Matrix, b: Matrix, into: Float32Array): Promise<void>;
  /** a · bᵀ into `into` [a.rows, b.rows]. */
  multiplyTransposed(a: Matrix, b: Matrix, into: Float32Array): Promise<void>;
  /** sum + xᵀ · x into `into`, both [x.cols, x.cols]. */
  addGram(x: Matrix, sum: Float32Array, into: Float32Array): Promise<void>;
}
