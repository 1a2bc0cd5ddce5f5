interface HeifImage {
  is_primary(): boolean;
  get_width(): number;
  get_height(): number;
  /** Decodes into `pixels`, which it hands on; null where it cannot. */
  display(pixels: Pixels, done: (pixels: Pixels | null) => void): void;
  free(): void;
}

interface Pixels {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

interface Library {
  HeifDecoder: new () => { decode(file: Uint8Array): HeifImage[] };
}

export default function load(): Library;
