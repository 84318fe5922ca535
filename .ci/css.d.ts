// A style sheet is imported as its text; the bundle puts it in.
declare module "*.css" {
  const text: string;
  export default text;
}
