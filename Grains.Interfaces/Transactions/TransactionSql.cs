namespace Actors.Calling;

/// <summary>What handles send over a connection that a caller lends.</summary>
internal static class TransactionSql
{
    public static readonly string StartWorkflow = Read("start_workflow");
    public static readonly string StartWorkflows = Read("start_workflows");
    public static readonly string Send = Read("send");

    private static string Read(string name)
    {
        using var reader = new StreamReader(typeof(TransactionSql).Assembly.GetManifestResourceStream($"{name}.sql")!);
        return string.Join('\n', reader.ReadToEnd().Split('\n').Where(line => !line.StartsWith("--", StringComparison.Ordinal))).Trim();
    }
}
