// The one way our scripts are laid out, as wide as the Python.
export default { printWidth: 120, objectWrap: "collapse" };
