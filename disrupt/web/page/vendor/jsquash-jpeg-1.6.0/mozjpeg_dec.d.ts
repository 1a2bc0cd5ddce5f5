/** Decodes a whole file; null where it cannot. */
interface Decoder {
  decode(file: BufferSource, isTurnedAsSaid: boolean): ImageData | null;
}

export default function load(options: { noInitialRun: boolean }): Promise<Decoder>;
