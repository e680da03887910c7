// The few pictures, drawn with the colour of the text around them. They say nothing that is not said in words.
const paths = {
  pulse: "M3 12h4l3-8 4 16 3-8h4",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zm5 12 4 4",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 13l4 4L19 7",
  mail: "M4 6h16v12H4zM4 7l8 6 8-6",
  phone: "M6 4h4l1 5-2 1a11 11 0 0 0 5 5l1-2 5 1v4c0 1-1 2-2 2A16 16 0 0 1 4 6c0-1 1-2 2-2z",
} as const;

export function Icon({ name }: { name: keyof typeof paths }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}
