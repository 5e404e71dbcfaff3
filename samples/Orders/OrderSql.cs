namespace Actors.Orders;

/// <summary>The sample's statements, by the names of their embedded files.</summary>
internal static class OrderSql
{
    private static readonly Dictionary<string, string> Statements = typeof(OrderSql).Assembly.GetManifestResourceNames()
        .Where(name => name.EndsWith(".sql", StringComparison.Ordinal))
        .ToDictionary(name => Path.GetFileNameWithoutExtension(name), Read, StringComparer.Ordinal);

    internal static string Get(string name) => Statements[name];

    private static string Read(string resource)
    {
        using var reader = new StreamReader(typeof(OrderSql).Assembly.GetManifestResourceStream(resource)!);
        return reader.ReadToEnd();
    }
}
