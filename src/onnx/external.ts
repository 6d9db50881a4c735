// Tensor data outside the model file: what a reader of tensors needs from whoever knows the files.
import type { ByteSource } from "./source.js";

export interface ExternalData {
  /**
   * The file a tensor names. `location` is untrusted text from the model: implementations refuse whatever leads out of the model's folder.
   * The same location gives the same source. Throws ExternalDataError, which names the tensor.
   */
  open(location: string, tensorName: string): ByteSource;
}
